package transport_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// hostile has headers that no server should send. In a synctest bubble the time is
// 2000-01-01T00:00:00Z, 946684800.
var hostile = map[string]http.Header{
	"exponents":                  headers("Retry-After: 1e308", "RateLimit-Policy: \"a\";q=1e308;w=1e-308", "RateLimit: \"a\";r=1e308;t=1e308"),
	"no numbers":                 headers("Retry-After: NaN", "RateLimit-Policy: \"a\";q=NaN;w=-Inf", "RateLimit: \"a\";r=Inf;t=NaN"),
	"negative ones":              headers("Retry-After: -1", "Retry-After-Ms: -9223372036854775808", "RateLimit-Policy: \"a\";q=-5;w=-1", "RateLimit: \"a\";r=-5;t=-1"),
	"large ones":                 headers("Retry-After: 9223372036854775807", "RateLimit-Policy: \"a\";q=9223372036854775807;w=9223372036854775807", "RateLimit: \"a\";r=18446744073709551616;t=9223372036854775808"),
	"large windows, none left":   headers("RateLimit-Policy: \"a\";q=1;w=9223372036854775807", "RateLimit: \"a\";r=0;t=9223372036854775808"),
	"the smallest window":        headers("RateLimit-Policy: \"a\";q=2147483647;w=0.000000001", "RateLimit: \"a\";r=0;t=0.000000001"),
	"a window of 0":              headers("RateLimit-Policy: \"a\";q=5;w=0", "RateLimit: \"a\";r=0;t=0"),
	"a quota of 0":               headers("RateLimit-Policy: \"a\";q=0;w=1", "RateLimit: \"a\";r=0;t=1"),
	"a quota of 0, alone":        headers("RateLimit-Policy: \"a\";q=0;w=1"),
	"more left than there is":    headers("RateLimit-Policy: \"a\";q=5;w=1", "RateLimit: \"a\";r=2147483647;t=1"),
	"dates long ago":             headers("Date: Mon, 01 Jan 0001 00:00:00 GMT", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 9999-12-31T23:59:59Z"),
	"dates in the far future":    headers("Date: Fri, 31 Dec 9999 23:59:59 GMT", "Retry-After: Mon, 01 Jan 0001 00:00:00 GMT", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 0001-01-01T00:00:00Z"),
	"a date that does not exist": headers("Retry-After: Thu, 31 Feb 2000 25:61:61 GMT"),
	"an epoch at the end":        headers("X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 999999999999999999"),
	"vendors that disagree": headers("RateLimit-Policy: \"a\";q=5;w=1", "RateLimit: \"a\";r=0;t=1", "RateLimit-Limit: 1", "RateLimit-Remaining: 0", "RateLimit-Reset: 3600",
		"X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 7200", "Anthropic-Ratelimit-Requests-Remaining: 0", "X-Shopify-Shop-Api-Call-Limit: 40/40"),
	"10,000 limits":           headers("RateLimit-Policy: "+many(`"%d";q=1;w=3600`), "RateLimit: "+many(`"%d";r=0;t=3600`)),
	"10,000 times one limit":  headers("RateLimit: " + strings.Repeat(`"a";r=0;t=3600,`, 10_000)),
	"10,000 parameters":       headers("RateLimit: \"a\"" + many(";r=%d")),
	"a line of a megabyte":    headers("RateLimit: \"" + strings.Repeat("a", 1<<20) + "\";r=0"),
	"quotes that do not end":  headers(`RateLimit: "a\`, `RateLimit-Policy: "`),
	"durations":               headers("X-RateLimit-Limit: 106751d", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2562047h47m16.854775807s"),
	"parts of a day":          headers("X-RateLimit-Limit: 0.999999999d", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 0.999999999d"),
	"Shopify's bucket beyond": headers("X-Shopify-Shop-Api-Call-Limit: 99999999999999999999/1"),
	"a bucket that refills":   headers("X-RateLimit-Limit-Requests: 99999999999999999999", "X-RateLimit-Remaining-Requests: 0", "X-RateLimit-Reset-Requests: 0.000000001"),
}

func many(format string) string {
	var b strings.Builder
	for i := range 10_000 {
		if i > 0 && !strings.HasPrefix(format, ";") {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestHostileHeaders checks that whatever headers a server sends, with any status, no
// call takes longer than MaxWait or is sent too often, and that calls are served again
// once the server sends sensible ones.
func TestHostileHeaders(t *testing.T) {
	const maxWait = 7 * time.Second
	for name, h := range hostile {
		for _, status := range []int{200, 429, 503, 403} {
			t.Run(fmt.Sprint(name, " with ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &script{answers: []answer{{status: status, header: h}}}
					tr := mustNew(t, s, transport.Config{MaxWait: maxWait, MaxRetries: 3})
					call := func() (int, error) {
						began := time.Now()
						response, err := tr.RoundTrip(request(t, "https://api.example.com/"))
						if took := time.Since(began); took > maxWait {
							t.Errorf("took %v", took)
						}
						if err != nil {
							if _, late := errors.AsType[*transport.WaitError](err); !late {
								t.Error(err)
							}
							return 0, err
						}
						_ = response.Body.Close()
						return response.StatusCode, nil
					}
					var wg sync.WaitGroup
					for range 5 {
						wg.Go(func() {
							for range 4 {
								_, _ = call()
							}
						})
					}
					wg.Wait()
					if len(s.times) > 4*20 {
						t.Errorf("sent %d requests for 20 calls", len(s.times))
					}
					s.answers = []answer{ok}
					time.Sleep(maxWait)
					for range 3 { // the first may still have to probe
						_, _ = call()
					}
					if status, err := call(); status != 200 || err != nil {
						t.Errorf("after all that: %d, %v", status, err)
					}
				})
			})
		}
	}
}

// TestServerClockJumps checks that no call takes longer than MaxWait if the server's
// clock jumps between responses.
func TestServerClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxWait = 10 * time.Second
		tr := mustNew(t, network{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			now := time.Now().Add(rand.N(100*365*24*time.Hour) - 50*365*24*time.Hour)
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			w.Header().Set("X-RateLimit-Limit", "50")
			w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(rand.N(50)))
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(rand.N(time.Minute)+time.Second-1).Unix(), 10))
			if rand.N(5) == 0 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})}, transport.Config{MaxWait: maxWait})
		for range 200 {
			began := time.Now()
			response, err := tr.RoundTrip(request(t, "https://api.example.com/"))
			if took := time.Since(began); took > maxWait {
				t.Errorf("took %v", took)
			}
			if err == nil {
				_ = response.Body.Close()
			}
		}
	})
}

// TestManyHosts checks that a hundred times as many hosts and keys take no more memory
// than MaxPaces of them.
func TestManyHosts(t *testing.T) {
	const maxPaces = 100
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: headers(`RateLimit-Policy: "default";q=5;w=1`, `RateLimit: "default";r=4;t=1`), Body: http.NoBody, Request: r}, nil
	}), transport.Config{MaxPaces: maxPaces})
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			r := request(t, fmt.Sprintf("https://%d.example.com/", i/2))
			r.Header.Set("X-Api-Key", fmt.Sprint(i))
			do(t, tr, r)
		}
	}
	fill(0, maxPaces)
	before := heap()
	fill(maxPaces, 100*maxPaces)
	if after := heap(); after > 2*before {
		t.Errorf("%d bytes with %d paces, and %d after a hundred times as many", before, maxPaces, after)
	}
	runtime.KeepAlive(tr)
}

// TestLongLinesAreForgotten checks that of a long header only the name of the limit
// stays in memory.
func TestLongLinesAreForgotten(t *testing.T) {
	const limits, line = 60, 1 << 20
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // not that large
	}
	n := 0
	tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		n++
		h := headers(fmt.Sprintf(`RateLimit-Policy: "%d";q=500;w=1`, n), fmt.Sprintf(`RateLimit: "%d";r=499;t=1, %s`, n, strings.Repeat("x", line)))
		return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody, Request: r}, nil
	}), transport.Config{})
	before := heap()
	for range limits {
		do(t, tr, request(t, "https://api.example.com/"))
	}
	if kept := heap() - before; kept > limits*line/10 {
		t.Errorf("%d bytes are kept of %d lines of %d", kept, limits, line)
	}
	runtime.KeepAlive(tr)
}

// TestWaitBeyondMaxWait checks that while a denial asks for more than MaxWait, requests
// fail at once and one in each MaxWait probes.
func TestWaitBeyondMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{denial("Retry-After: 3600"), denial("Retry-After: 3600"), ok}}
		tr := mustNew(t, s, transport.Config{})
		for round := range 3 {
			began := time.Now()
			status, _ := do(t, tr, request(t, "https://api.example.com/"))
			if want := map[bool]int{true: 429, false: 200}[round < 2]; status != want || time.Since(began) > 0 {
				t.Errorf("round %d: status %d after %v", round, status, time.Since(began))
			}
			for round < 2 && time.Since(began) < time.Minute {
				err := errorOf(t, tr, request(t, "https://api.example.com/"))
				if w, late := errors.AsType[*transport.WaitError](err); !late || w.Wait < 50*time.Minute {
					t.Fatalf("round %d: %v", round, err)
				}
				time.Sleep(10 * time.Second)
			}
		}
		if want := []time.Duration{0, time.Minute, 2 * time.Minute}; !slices.Equal(s.times, want) {
			t.Errorf("sent at %v, want %v", s.times, want)
		}
	})
}

// TestProbeIsDenied checks that the denial of a probe replaces the wait, also by a
// shorter one.
func TestProbeIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{denial("Retry-After: 3600"), denial("Retry-After: 10"), ok}}
		tr := mustNew(t, s, transport.Config{})
		do(t, tr, request(t, "https://api.example.com/"))
		time.Sleep(time.Minute)
		if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != 200 || !near(s.times[2]-s.times[1], 10*time.Second) {
			t.Errorf("status %d, sent at %v", status, s.times)
		}
	})
}

// TestLimitsAreGone checks that limits are forgotten once they are no longer reported.
func TestLimitsAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := ok
		limited.header = headers(`RateLimit-Policy: "default";q=1;w=3600`, `RateLimit: "default";r=0;t=3600`)
		s := &script{answers: []answer{limited, ok}}
		tr := mustNew(t, s, transport.Config{})
		for range 5 {
			do(t, tr, request(t, "https://api.example.com/"))
		}
		if last := s.times[len(s.times)-1]; !near(s.times[1], 30*time.Second) || last != s.times[1] {
			t.Errorf("sent at %v, want one after half of MaxWait, and then all", s.times)
		}
	})
}

// FuzzMaxWait checks that whatever a server sends, no call takes longer than MaxWait or
// is sent too often.
func FuzzMaxWait(f *testing.F) {
	names := []string{
		"Date", "Retry-After", "Retry-After-Ms", "Ratelimit", "Ratelimit-Policy", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
		"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests",
		"X-Ratelimit-Reset-Requests", "X-Shopify-Shop-Api-Call-Limit",
	}
	for _, values := range []string{ // a line is the number of a name, and a value
		"3 \"default\";r=0;t=1, \"b\";r=3;t=5\n4 \"default\";q=5;w=1, \"b\";q=9;w=3600\n1 1\n2 200",
		"3 limit=100, remaining=50, reset=50\n4 100;w=60",
		"5 10, 10;w=1\n6 0\n7 1",
		"8 5000\n9 0\n10 946688400\n0 Sat, 01 Jan 2000 00:00:00 GMT",
		"11 60\n12 0\n13 6m0s",
		"14 40/40\n1 2.0",
		"1 Sat, 01 Jan 2000 00:00:07 GMT",
		"1 99999999999999999999\n9 -1\n8 NaN",
	} {
		f.Add(values)
	}
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.SplitSeq(text, "\n") {
				number, value, _ := strings.Cut(line, " ")
				if i, err := strconv.Atoi(number); err == nil && i >= 0 {
					h.Add(names[i%len(names)], value)
				}
			}
			s := &script{answers: []answer{{status: 200, header: h}, {status: 429, header: h}, {status: 503, header: h}, {status: 403, header: h}, {status: 429, header: h}}}
			config := transport.Config{MaxWait: 7 * time.Second, MaxRetries: 3}
			tr := mustNew(t, s, config)
			for range 3 {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						began := time.Now()
						response, err := tr.RoundTrip(request(t, "https://api.example.com/"))
						if took := time.Since(began); took > config.MaxWait {
							t.Errorf("took %v with %v", took, h)
						}
						if _, late := errors.AsType[*transport.WaitError](err); err != nil && !late {
							t.Error(err)
						}
						if err == nil {
							_ = response.Body.Close()
						}
					})
				}
				wg.Wait()
			}
			if len(s.times) > 3*4*4 {
				t.Errorf("sent %d requests for 12 calls", len(s.times))
			}
		})
	})
}
