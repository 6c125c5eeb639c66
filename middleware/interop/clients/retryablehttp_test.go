package clients_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
)

// newRetryable returns a client with its default settings: after a 429 it waits as long
// as Retry-After says (without that header a second, then longer and longer), and gives up
// at the fifth.
func newRetryable(t *testing.T) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.Logger = nil // or else a line for each call, on stderr
	t.Cleanup(client.HTTPClient.CloseIdleConnections)
	return client
}

// get makes a call, and returns an error if it is not served.
func get(t *testing.T, client *retryablehttp.Client, url, key string) error {
	r, err := retryablehttp.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-API-Key", key)
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// getAll makes calls one after the other until one fails, and returns how many were
// served.
func getAll(t *testing.T, client *retryablehttp.Client, url, key string) (int, error) {
	for n := range calls {
		if err := get(t, client, url, key); err != nil {
			return n, err
		}
	}
	return calls, nil
}

// getShared makes calls with so many workers and one key, and returns how many failed.
func getShared(t *testing.T, client *retryablehttp.Client, url, key string, workers int) int {
	var all sync.WaitGroup
	var begun, failed atomic.Int64
	for range workers {
		all.Go(func() {
			for begun.Add(1) <= calls {
				if err := get(t, client, url, key); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(failed.Load())
}

// TestRetryableHTTP: with its default settings it finishes.
func TestRetryableHTTP(t *testing.T) {
	t.Parallel()
	a := startAPI(t, ratelimit.PerSecond(5), nil)
	if n, err := getAll(t, newRetryable(t), a.url, "alice"); err != nil {
		t.Fatalf("call %d failed: %v", n+1, err)
	}
	a.obeyed(t, "alice")
}

// TestRetryableHTTPWithKeysOfTheirOwn: workers that share a client, but not a key, do not
// disturb each other.
func TestRetryableHTTPWithKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	a, client := startAPI(t, ratelimit.PerSecond(5), nil), newRetryable(t)
	keys := []string{"alice", "bob", "carol", "dave"}
	var all sync.WaitGroup
	for _, key := range keys {
		all.Go(func() {
			if n, err := getAll(t, client, a.url, key); err != nil {
				t.Errorf("call %d of %s failed: %v", n+1, key, err)
			}
		})
	}
	all.Wait()
	for _, key := range keys {
		a.obeyed(t, key)
	}
}

// TestRetryableHTTPWithOneKey: workers that share a key are held to its limit, but with
// the default settings some of their calls may fail. All workers that were denied come
// back after a second, at the same moment, to a bucket that holds one second's calls: the
// first of them takes its call and the next ones, and is the first again a second later.
// A call that is late five times in a row fails. With two workers that happens in one run
// of 50 calls out of four, with twenty in each.
func TestRetryableHTTPWithOneKey(t *testing.T) {
	t.Parallel()
	a := startAPI(t, ratelimit.PerSecond(5), nil)
	failed := getShared(t, newRetryable(t), a.url, "alice", 10)
	admitted, denied := a.held(t, "alice")
	t.Logf("%d calls failed", failed)
	if admitted+failed != calls || denied < 5*failed {
		t.Errorf("%d calls were admitted and %d failed; want %d together, and at least 5 denials for each that failed, not %d in all", admitted, failed, calls, denied)
	}
}

// TestRetryableHTTPOnTransport: they finish with a transport that makes them queue,
// and paces them.
func TestRetryableHTTPOnTransport(t *testing.T) {
	t.Parallel()
	a, client := startAPI(t, ratelimit.PerSecond(5), nil), newRetryable(t)
	keeping, err := transport.New(client.HTTPClient.Transport, transport.Config{})
	if err != nil {
		t.Fatal(err)
	}
	client.HTTPClient.Transport = keeping
	if failed := getShared(t, client, a.url, "alice", 10); failed > 0 {
		t.Errorf("%d calls failed", failed)
	}
	if admitted, _ := a.held(t, "alice"); admitted != calls {
		t.Errorf("%d calls were admitted, want %d", admitted, calls)
	}
}

// TestRetryableHTTPCanFail: without what denials say it does not finish.
func TestRetryableHTTPCanFail(t *testing.T) {
	t.Parallel()
	for _, lie := range lies() {
		t.Run(lie.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, lie.limit, lie.falsify)
			n, err := getAll(t, newRetryable(t), a.url, "alice")
			if err == nil {
				t.Fatal("it finished")
			}
			t.Logf("after %d calls: %v", n, err)
			if admitted, denied := a.held(t, "alice"); admitted != n || denied < 5 {
				t.Errorf("%d calls were admitted, the client knows of %d, and %d were denied; want at least 5", admitted, n, denied)
			}
		})
	}
}
