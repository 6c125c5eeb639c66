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
	if answer.Code != http.StatusOK {
		return fmt.Errorf("status %d after the wait, instead of 200", answer.Code)
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
		case answer.Code == http.StatusTooManyRequests:
			return answer.Header, nil
		case answer.Code != http.StatusOK:
			return nil, fmt.Errorf("status %d instead of 200 or 429", answer.Code)
		}
	}
	return nil, fmt.Errorf("not denied in %d calls: choose a limit that one caller can reach, such as -limit 5/s", maxCalls)
}

// call makes one call and prints the answer: in one line, or in full if it is no 200.
func call(ctx context.Context, client *http.Client, url string, out io.Writer) (Answer, error) {
	answer, err := Get(ctx, client, url, "alice")
	if err != nil {
		return answer, err
	}
	names, separator := middleware.Headers(), "  "
	if answer.Code != http.StatusOK {
		names, separator = append(names, "Content-Type"), "\n    "
	}
	fmt.Fprint(out, answer.Status)
	for _, name := range names {
		if value := answer.Header.Get(name); value != "" {
			fmt.Fprintf(out, "%s%s: %s", separator, name, value)
		}
	}
	fmt.Fprintln(out)
	if answer.Code != http.StatusOK {
		fmt.Fprintf(out, "\n    %s\n\n", bytes.TrimSpace(answer.Body))
	}
	return answer, nil
}

// An Answer is a response whose body has been read.
type Answer struct {
	Status string // such as "200 OK"
	Code   int
	Header http.Header
	Body   []byte
}

// Get makes one call with a key.
func Get(ctx context.Context, client *http.Client, url, key string) (Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{}, err
	}
	r.Header.Set("X-API-Key", key)
	response, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return Answer{response.Status, response.StatusCode, response.Header, body}, err
}
