package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

const (
	maxCalls = 1000        // that the demo makes until it is denied
	maxWait  = time.Minute // that it waits when a denial asks for it
)

// demo serves the API on a port of its own and calls it with one key until it is
// refused, waits as told, and calls once more.
func demo(ctx context.Context, limit ratelimit.Limit, out io.Writer) (err error) {
	api, err := newAPI(limit, log.New(io.Discard, "", 0))
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
		url:    "http://" + listener.Addr().String() + "/",
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
		out:    out,
	}
	return c.demonstrate(ctx, limit)
}

// A caller calls the API and prints what it is answered.
type caller struct {
	url    string
	client *http.Client
	out    io.Writer
}

func (c caller) demonstrate(ctx context.Context, limit ratelimit.Limit) error {
	fmt.Fprintf(c.out, "GET %s with one X-API-Key, limited to %s\n\n", c.url, limit)
	refusal, err := c.untilRefused(ctx)
	if err != nil {
		return err
	}
	ms, err := strconv.ParseInt(refusal.Get(middleware.HeaderRetryAfterMs), 10, 64)
	if err != nil {
		return fmt.Errorf("the refusal tells no wait: %w", err)
	}
	wait := time.Duration(ms) * time.Millisecond
	if wait > maxWait {
		return fmt.Errorf("a call would be admitted after %v, and -demo waits %v at most: choose a limit that refills sooner, such as -limit 5/s", wait, maxWait)
	}
	fmt.Fprintf(c.out, "Waiting %d ms, as Retry-After-Ms says.\n\n", ms)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	status, _, err := c.call(ctx)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("status %d after the wait, instead of 200", status)
	}
	fmt.Fprint(c.out, "\nRefused at the limit, admitted after the wait.\n")
	return nil
}

// untilRefused calls until it gets 429, and returns the headers of that.
func (c caller) untilRefused(ctx context.Context) (http.Header, error) {
	for range maxCalls {
		status, header, err := c.call(ctx)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusTooManyRequests:
			return header, nil
		case status != http.StatusOK:
			return nil, fmt.Errorf("status %d instead of 200 or 429", status)
		}
	}
	return nil, fmt.Errorf("not refused in %d calls: choose a limit that one caller can reach, such as -limit 5/s", maxCalls)
}

// call makes one call and prints the answer: in one line, or in full if it is no 200.
func (c caller) call(ctx context.Context) (int, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-API-Key", "alice")
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return 0, nil, err
	}
	names, separator := middleware.Headers(), "  "
	if answer.StatusCode != http.StatusOK {
		names, separator = append(names, "Content-Type"), "\n    "
	}
	fmt.Fprint(c.out, answer.Status)
	for _, name := range names {
		if value := answer.Header.Get(name); value != "" {
			fmt.Fprintf(c.out, "%s%s: %s", separator, name, value)
		}
	}
	fmt.Fprintln(c.out)
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintf(c.out, "\n    %s\n\n", bytes.TrimSpace(body))
	}
	return answer.StatusCode, answer.Header, nil
}
