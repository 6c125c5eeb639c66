package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

// demo serves the API on a port of its own, calls its routes, and prints what a caller
// sees of the limits.
func demo(ctx context.Context, out io.Writer) (err error) {
	api, err := newAPI()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() { served <- serve(serving, listener, api) }()
	transport := new(http.Transport)
	defer func() {
		transport.CloseIdleConnections()
		stop()
		err = errors.Join(err, <-served)
	}()
	c := caller{
		url:    "http://" + listener.Addr().String(),
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
		out:    out,
	}
	for _, step := range []struct {
		what, key string
		paths     []string
		last      int // the status of the last call
	}{
		{"An item costs one token.", "alice", []string{"/items/1", "/items/2"}, http.StatusOK},
		{"A search costs ten, of the same 25: the third is refused.", "bob", []string{"/search", "/search", "/search"}, http.StatusTooManyRequests},
		{"An export counts for the key, too, but no more than 2 a minute are served.", "carol", []string{"/export/orders", "/export/items", "/export/orders"}, http.StatusTooManyRequests},
		{"No spelling of the path is a way round that, and what was refused was not charged.", "carol", []string{"/%65xport/orders", "/items/1"}, http.StatusOK},
		{"What matches no pattern is not free.", "dave", []string{"/nothing"}, http.StatusNotFound},
	} {
		fmt.Fprintf(out, "%s\n\n", step.what)
		status := 0
		for _, path := range step.paths {
			if status, err = c.call(ctx, path, step.key); err != nil {
				return err
			}
		}
		fmt.Fprintln(out)
		if status != step.last {
			return fmt.Errorf("the last answer was %d, instead of %d", status, step.last)
		}
	}
	return nil
}

// A caller calls the API and prints what it is answered.
type caller struct {
	url    string
	client *http.Client
	out    io.Writer
}

// call makes one call with a key and prints the answer.
func (c caller) call(ctx context.Context, path, key string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", key)
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(c.out, "GET %s: %s\n", path, answer.Status)
	for _, name := range []string{middleware.HeaderRateLimit, middleware.HeaderRetryAfter} {
		if value := answer.Header.Get(name); value != "" {
			fmt.Fprintf(c.out, "    %s: %s\n", name, value)
		}
	}
	if answer.StatusCode == http.StatusTooManyRequests {
		fmt.Fprintf(c.out, "    %s\n", bytes.TrimSpace(body))
	}
	return answer.StatusCode, nil
}
