package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"time"
)

// calls is how many are made each time: twice as many as the limit admits at once.
var calls = 2 * limit.Rate

// compare calls one server alone, then both in turn, each time with a key that Redis
// has never seen, and prints what was admitted.
func compare(ctx context.Context, a, b *server, out io.Writer) error {
	alone, err := call(ctx, rand.Text(), a)
	if err != nil {
		return err
	}
	both, err := call(ctx, rand.Text(), a, b)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%-18s %6s %9s %8s\n", "", "calls", "admitted", "denied")
	row := func(name string, c count) {
		fmt.Fprintf(out, "%-18s %6d %9d %8d\n", name, c.admitted+c.denied, c.admitted, c.denied)
	}
	row("A alone", alone[0])
	row("A, in turn with B", both[0])
	row("B, in turn with A", both[1])
	together := count{both[0].admitted + both[1].admitted, both[0].denied + both[1].denied}
	row("A and B together", together)
	// While the calls are made, a token may come back.
	if together.admitted > alone[0].admitted+1 || together.admitted < limit.Rate {
		return fmt.Errorf("together they admitted %d calls, one alone %d", together.admitted, alone[0].admitted)
	}
	fmt.Fprintf(out, "\nTwo servers admit what one does: %d calls, not %d.\n", together.admitted, 2*alone[0].admitted)
	return nil
}

type count struct{ admitted, denied int }

// call calls servers in turn with one key, and counts what each answered.
func call(ctx context.Context, key string, servers ...*server) ([]count, error) {
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	counts := make([]count, len(servers))
	for i := range calls {
		at := i % len(servers)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, servers[at].url, nil)
		if err != nil {
			return nil, err
		}
		request.Header.Set("X-API-Key", key)
		answer, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusOK:
			counts[at].admitted++
		case http.StatusTooManyRequests:
			counts[at].denied++
		default:
			return nil, fmt.Errorf("status %d instead of 200 or 429", answer.StatusCode)
		}
	}
	return counts, nil
}
