package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
)

// These tests attack: servers that are evil or odd, callers that give up, and bodies
// that do not end.

// evil has headers that no server should send. The time is that of a bubble,
// 2000-01-01T00:00:00Z, which is 946684800.
var evil = map[string]http.Header{
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
	"dates far away":             headers("Date: Fri, 31 Dec 9999 23:59:59 GMT", "Retry-After: Mon, 01 Jan 0001 00:00:00 GMT", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 0001-01-01T00:00:00Z"),
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

// TestEvilHeaders: whatever is sent, with whatever status, no call takes longer than
// the cap, none is sent for ever, and when the server comes to its senses, all are
// served again.
func TestEvilHeaders(t *testing.T) {
	const maxWait = 7 * time.Second
	for name, h := range evil {
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
					for range 3 { // the first may still have to ask
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

// TestClockIsSet: a server's clock that jumps between responses costs nobody more
// than the cap.
func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxWait = 10 * time.Second
		tr := mustNew(t, network{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			now := time.Now().Add(rand.N(100*365*24*time.Hour) - 50*365*24*time.Hour)
			w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
			tellGitHub(w.Header(), 50, rand.N(50), time.Now().Add(rand.N(time.Minute)), false)
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

// TestManyGiveUp: callers whose contexts end at any time leave no place in the queue
// taken, no timer and no goroutine behind, and do not keep the others from the limit.
func TestManyGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), 5 * time.Millisecond, 15 * time.Millisecond}
		tr := mustNew(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := n.RoundTrip(r)
			if r.Context().Err() != nil { // as a base does
				return nil, r.Context().Err()
			}
			return response, err
		}), transport.Config{})
		var served, gaveUp atomic.Int32
		var wg sync.WaitGroup
		end := time.Now().Add(time.Minute)
		for i := range 50 {
			wg.Go(func() {
				for time.Now().Before(end) {
					ctx, cancel := context.WithCancel(t.Context())
					if i >= 5 { // five are patient
						time.AfterFunc(rand.N(time.Second), cancel)
					}
					began := time.Now()
					response, err := tr.RoundTrip(request(t, "https://api.example.com/").WithContext(ctx))
					switch {
					case err == nil:
						_ = response.Body.Close()
						served.Add(1)
					case i < 5 || !errors.Is(err, context.Canceled):
						t.Error(err)
					case time.Since(began) > 1050*time.Millisecond:
						t.Errorf("gave up after %v", time.Since(began))
					default:
						gaveUp.Add(1)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		synctest.Wait() // and whoever were left would keep the bubble from ending
		t.Logf("%d served, %d gave up", served.Load(), gaveUp.Load())
		if served.Load() < 250 || gaveUp.Load() == 0 {
			t.Errorf("%d served, %d gave up; want 250 served at least", served.Load(), gaveUp.Load())
		}
	})
}

// TestPatientIsServed: one who waits is served in turn, however many come after it and
// give up.
func TestPatientIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network{keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{}), time.Millisecond, time.Millisecond}
		tr := mustNew(t, n, transport.Config{})
		for range 10 {
			do(t, tr, request(t, "https://api.example.com/"))
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for range 20 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					response, err := tr.RoundTrip(request(t, "https://api.example.com/").WithContext(ctx))
					cancel()
					if err == nil {
						_ = response.Body.Close()
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		for range 20 {
			began := time.Now()
			do(t, tr, request(t, "https://api.example.com/"))
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		}
		close(stop)
		wg.Wait()
	})
}

// TestManyHosts: a hundred times as many hosts and keys take the memory of MaxPaces.
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

// TestLongLinesAreForgotten: of a header as long as a server may send, no more stays in
// memory than the name of the limit.
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

// evilServer runs a real one.
func evilServer(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base := &http.Transport{ExpectContinueTimeout: time.Second}
	t.Cleanup(base.CloseIdleConnections)
	return server, &http.Client{Transport: mustNew(t, base, transport.Config{})}
}

// A reply is a response that was read.
type reply struct {
	status  int
	text    string
	trailer http.Header
}

// post sends a body.
func post(t *testing.T, client *http.Client, url string, body io.Reader, change func(*http.Request)) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, string(text), response.Trailer}
}

// TestEndlessRefusal: a refusal whose body does not end is left, and the request is
// sent again.
func TestEndlessRefusal(t *testing.T) {
	var calls atomic.Int32
	gone := make(chan struct{})
	server, client := evilServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			return
		}
		defer close(gone)
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	if got := post(t, client, server.URL, nil, nil); got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	<-gone // the server was told that nobody reads
}

// TestExpectContinue: a body that can be had once is sent again with a server which
// refuses before it asks for it, and the server gets all of it.
func TestExpectContinue(t *testing.T) {
	var calls atomic.Int32
	server, client := evilServer(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.Copy(w, r.Body)
		_, _ = fmt.Fprint(w, r.ContentLength, r.Trailer.Get("Sum"))
	})
	body := &trackedBody{Reader: strings.NewReader("hello")}
	got := post(t, client, server.URL, body, func(r *http.Request) {
		r.Header.Set("Expect", "100-continue")
		r.ContentLength = 5
	})
	if got.status != http.StatusOK || got.text != "hello5" || calls.Load() != 2 || body.closed.Load() == 0 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestTrailer: trailers, and lengths that are not known, pass in both directions, also
// when the request is sent again.
func TestTrailer(t *testing.T) {
	var calls atomic.Int32
	server, client := evilServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Trailer", "Answer")
		_, _ = fmt.Fprintf(w, "%s %d %s", text, r.ContentLength, r.Trailer.Get("Sum"))
		w.Header().Set("Answer", "42")
	})
	got := post(t, client, server.URL, io.NopCloser(strings.NewReader("hello")), func(r *http.Request) {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }
		r.Trailer = http.Header{"Sum": {"5"}}
	})
	if got.text != "hello -1 5" || got.trailer.Get("Answer") != "42" || calls.Load() != 2 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestEarlyHints: responses of 1xx are those of the base, and no answer.
func TestEarlyHints(t *testing.T) {
	server, client := evilServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Retry-After")
	})
	hints := 0
	for range 2 {
		got := post(t, client, server.URL, nil, func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
			}))
		})
		if got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
	}
	if hints != 2 {
		t.Errorf("%d hints, want 2", hints)
	}
}

// TestUpgrade: a connection that is taken over is the caller's.
func TestUpgrade(t *testing.T) {
	server, client := evilServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nRetry-After: 3600\r\n\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})
	r := request(t, server.URL)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	conn, is := response.Body.(io.ReadWriteCloser)
	if !is {
		t.Fatalf("%s with a %T", response.Status, response.Body)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestReset: connections that are reset, before or within the response, are errors
// at once, and the next call is served.
func TestReset(t *testing.T) {
	var calls atomic.Int32
	server, client := evilServer(t, func(w http.ResponseWriter, _ *http.Request) {
		n := calls.Add(1)
		if n > 2 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if n == 2 {
			_, _ = io.WriteString(conn, "HTTP/1.1 429 Too Many Requests\r\nRetry-After-Ms: 1\r\nContent-Length: 100\r\n\r\nno")
		} else if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := client.Do(r); err == nil {
		_ = response.Body.Close()
		t.Error("want the error of the reset")
	}
	// The second one is refused with half a body, which is no reason not to go on.
	if got := post(t, client, server.URL, nil, nil); got.status != http.StatusOK || calls.Load() != 3 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestRedirect: each host of a chain of redirects has a pace of its own, and one that
// is closed does not hold up the other.
func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used := false
		client := &http.Client{Transport: mustNew(t, network{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Host == "a.example.com" && r.URL.Path == "/":
				http.Redirect(w, r, "https://b.example.com/", http.StatusTemporaryRedirect)
			case r.URL.Host == "b.example.com" && !used:
				used = true
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})}, transport.Config{})}
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() {
			response, err := client.Do(request(t, "https://a.example.com/"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK || time.Since(began) < 30*time.Second {
				t.Errorf("%s after %v", response.Status, time.Since(began))
			}
		})
		time.Sleep(time.Second)
		response, err := client.Do(request(t, "https://a.example.com/direct"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the other host was held up for %v", took)
		}
		wg.Wait()
	})
}
