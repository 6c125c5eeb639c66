package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestCheckWarnsOfTimeouts: Check warns if the client and the limiter have different
// timeouts. It does not warn before the first decision, nor of a longer timeout of a client
// that was not made for decisions.
func TestCheckWarnsOfTimeouts(t *testing.T) {
	server := miniredis.RunT(t)
	of := func(url string) redis.UniversalClient {
		client, err := NewClient(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	own := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = own.Close() })
	url := "redis://" + server.Addr() + "/0"
	for _, test := range []struct {
		name    string
		client  redis.UniversalClient
		timeout time.Duration // of the limiter; 0: the default, -1: it decides nothing
		want    []string      // in a warning; none: no warning
	}{
		{"both default", of(url), 0, nil},
		{"200 ms, default", of(url + "?timeout=200ms"), 0, []string{"200ms", "50ms", "set ratelimit.Config.Timeout to 200ms"}},
		{"1 s, 300 ms", of(url + "?timeout=1s"), 300 * time.Millisecond, []string{"1s", "300ms", "set ratelimit.Config.Timeout to 1s"}},
		{"default, 200 ms", of(url), 200 * time.Millisecond, []string{"50ms", "200ms", "timeout=200ms in the URL"}},
		{"1 s, 2 s", of(url + "?timeout=1s"), 2 * time.Second, []string{"timeout=2s in the URL"}},
		{"the same", of(url + "?timeout=200ms"), 200 * time.Millisecond, nil},
		{"no decision yet", of(url + "?timeout=200ms"), -1, nil},
		{"another client", own, 0, nil},
		{"another client, with a shorter timeout", own, time.Minute, []string{"ReadTimeout"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, test.client, Config{})
			l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{Timeout: max(test.timeout, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if test.timeout >= 0 {
				_, _ = l.Allow(t.Context(), "k") // in time or not
			}
			for range 2 { // a probe does not count as a decision
				var found []string
				for _, w := range l.Check(t.Context()).Warnings {
					if strings.Contains(w, "for an answer") {
						found = append(found, w)
					}
				}
				if test.want == nil && len(found) > 0 || test.want != nil && len(found) != 1 {
					t.Fatalf("the warnings are %q; want one that says %q", found, test.want)
				}
				for _, want := range test.want {
					if !strings.Contains(found[0], want) {
						t.Errorf("the warning is %q; want it to say %q", found[0], want)
					}
				}
			}
		})
	}
}
