package serve

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

const (
	maxCalls = 1000        // until one is denied
	maxWait  = time.Minute // until the next one
)

// UntilDenied calls url with one X-API-Key until a call is denied, waits as the denial
// says, and calls once more. It prints every answer.
func UntilDenied(ctx context.Context, client *http.Client, url string, out io.Writer) error {
	denial, err := denied(ctx, client, url, out)
	if err != nil {
		return err
	}
	ms, err := strconv.ParseInt(denial.Get(middleware.HeaderRetryAfterMs), 10, 64)
	if err != nil {
		return fmt.Errorf("the denial has no wait: %w", err)
	}
	wait := time.Duration(ms) * time.Millisecond
	if wait > maxWait {
		return fmt.Errorf("a call would be admitted after %v, and -demo waits %v at most: choose a limit that refills sooner, such as -limit 5/s", wait, maxWait)
	}
	fmt.Fprintf(out, "Waiting %d ms, as Retry-After-Ms says.\n\n", ms)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	answer, err := call(ctx, client, url, out)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d after the wait, instead of 200", answer.StatusCode)
	}
	fmt.Fprint(out, "\nDenied at the limit, admitted after the wait.\n")
	return nil
}

// denied calls until it gets 429, and returns the headers of that.
func denied(ctx context.Context, client *http.Client, url string, out io.Writer) (http.Header, error) {
	for range maxCalls {
		answer, err := call(ctx, client, url, out)
		switch {
		case err != nil:
			return nil, err
		case answer.StatusCode == http.StatusTooManyRequests:
			return answer.Header, nil
		case answer.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("status %d instead of 200 or 429", answer.StatusCode)
		}
	}
	return nil, fmt.Errorf("not denied in %d calls: choose a limit that one caller can reach, such as -limit 5/s", maxCalls)
}

// call makes one call and prints the answer: in one line, or in full if it is no 200.
func call(ctx context.Context, client *http.Client, url string, out io.Writer) (*http.Response, error) {
	answer, body, err := Get(ctx, client, url, "alice")
	if err != nil {
		return nil, err
	}
	names, separator := middleware.Headers(), "  "
	if answer.StatusCode != http.StatusOK {
		names, separator = append(names, "Content-Type"), "\n    "
	}
	fmt.Fprint(out, answer.Status)
	for _, name := range names {
		if value := answer.Header.Get(name); value != "" {
			fmt.Fprintf(out, "%s%s: %s", separator, name, value)
		}
	}
	fmt.Fprintln(out)
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintf(out, "\n    %s\n\n", bytes.TrimSpace(body))
	}
	return answer, nil
}

// Get makes one call with a key. It returns the response, whose body it has read.
func Get(ctx context.Context, client *http.Client, url, key string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("X-API-Key", key)
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return answer, body, err
}
