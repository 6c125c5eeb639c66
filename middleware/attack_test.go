package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// Each attack on rate limiters that comes through the door, and its test:
//
//	forged X-Forwarded-For, X-Real-IP                 TestAttackForgedForwardedFor, FuzzClientAddress
//	credential that auth reads differently            TestAttackCredentialSpelling, TestBearer, TestAttackVerifiedIdentity
//	no key                                            TestAttackNoKey
//	two values of the key header                      TestAttackTwoKeys
//	1 MiB key, NUL, tabs, look-alikes                 TestAttackStrangeKeys, FuzzKey
//	ambiguous join                                    TestAttackAmbiguousJoin
//	IPv6 rotation inside a /64, IPv4-mapped addresses TestAttackIPv6Rotation, TestClientAddress
//	IPv4 inside IPv6: all of IPv4 in one bucket       TestEmbeddedIPv4, TestNAT64ClientsAreApart
//	path spelling                                     TestAttackPathSpelling
//	HEAD and OPTIONS unlimited                        TestAttackUnlimitedMethods, TestPreflight, TestServerHead
//	many operations in one call                       TestAttackManyOperations
//	HTTP/2 rapid reset                                TestAttackRapidReset
//	stalled body or reader of the 429                 TestAttackStalledBody, TestAttackStalledReader
//	429 as amplifier                                  TestAttackAmplifier, TestBodySize, TestLogRate, TestJitter
//	negative or huge cost                             TestAttackCost, TestExtremes
//	memory by random keys                             TestAttackRandomKeys
//	API keys in logs, errors, panics                  TestCanary
//	the key as a metric label                         TestAttackMetricLabels
//	reflection                                        TestAttackReflection
//	silent fail-open                                  TestAttackSilentFailOpen, TestFaults
//	panicking KeyFunc or hook                         TestFaults, TestPanickingFunctionsLimit, TestHooksThatPanic
//
// The others, on hashes, clocks, eviction and Redis, are the stores' and are tested
// there.

func TestAttackForgedForwardedFor(t *testing.T) {
	headers := []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"}
	forge := func(i int) http.Header {
		h := http.Header{}
		for _, name := range headers {
			h[http.CanonicalHeaderKey(name)] = []string{fmt.Sprintf("203.0.113.%d", i)}
		}
		return h
	}
	for _, c := range []struct {
		name   string
		config middleware.Config
		peer   string
		append string // by the trusted proxy
	}{
		{name: "nobody trusted", peer: "192.0.2.1:1"},
		{name: "peer not trusted", peer: "192.0.2.1:1", config: middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")}},
		{name: "left of the client", peer: "10.0.0.1:1", config: middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")}, append: ", 192.0.2.1"},
		{name: "ClientIP", peer: "192.0.2.1:1", config: middleware.Config{Key: middleware.ClientIP(prefixes("10.0.0.0/8")...)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), c.config))(hello)
				served := 0
				for i := range 200 {
					header := forge(i)
					header["X-Forwarded-For"][0] += c.append
					if (call{peer: c.peer, header: header}).to(h).Code == http.StatusOK {
						served++
					}
				}
				if served != 5 {
					t.Errorf("%d of 200 forged calls served, want 5", served)
				}
				// And the victims are not locked out.
				wantStatus(t, h, call{peer: "203.0.113.7:1"}, http.StatusOK)
			})
		})
	}
}

func TestAttackCredentialSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: middleware.Bearer()}))(hello)
		served := 0
		for i := range 100 {
			for _, spelling := range []string{
				"n%d Bearer K", "xBearer%d K", "Bearer K%d K", "Bearer  \tK%d", "Bearer%dK", "Bearer \"K%d\"", "Basic K%d", "Bearer K%d,", "K%d",
			} {
				header := http.Header{"Authorization": {fmt.Sprintf(spelling, i)}}
				if (call{header: header}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 900 misspelled tokens served, want 5 for the address", served)
		}
		served = 0
		for i := range 100 { // of the right token, all spellings that are one
			scheme := []string{"Bearer", "bearer", "BEARER", "bEaReR"}[i%4]
			header := http.Header{"Authorization": {scheme + strings.Repeat(" ", i%7+1) + "K" + strings.Repeat(" ", i%3)}}
			if (call{header: header}).to(h).Code == http.StatusOK {
				served++
			}
		}
		if served != 5 {
			t.Errorf("%d spellings of one token served, want 5", served)
		}
	})
}

type identity struct{}

// TestAttackVerifiedIdentity: keyed on what auth has verified, made-up credentials
// make no buckets, and however a good one is spelled it is one bucket.
func TestAttackVerifiedIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: keyFunc(func(r *http.Request) string {
			user, _ := r.Context().Value(identity{}).(string)
			return user
		})}))(hello)
		auth := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("Authorization"), "K") { // as lax as can be
				r = r.WithContext(context.WithValue(r.Context(), identity{}, "alice"))
			}
			limit.ServeHTTP(w, r)
		})
		served := 0
		for i := range 100 {
			good := call{header: http.Header{"Authorization": {fmt.Sprintf("n%d Bearer K", i)}}}
			bad := call{header: http.Header{"Authorization": {fmt.Sprintf("Bearer %d", i)}}}
			for _, c := range []call{good, bad} {
				if c.to(auth).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 10 {
			t.Errorf("%d calls served, want 5 for the identity and 5 for the address", served)
		}
	})
}

func TestAttackNoKey(t *testing.T) {
	for name, key := range map[string]middleware.Key{
		"zero":   {},
		"Header": middleware.Header("X-API-Key"),
		"Bearer": middleware.Bearer(),
		"First":  middleware.First(middleware.Header("X-API-Key"), middleware.Bearer()),
		"none":   middleware.First(),
		"blank":  keyFunc(func(*http.Request) string { return " \t " }),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: key}))(hello)
				for _, peer := range []string{"192.0.2.1:1", "192.0.2.2:1", "@"} {
					if n := (call{peer: peer}).exhaust(t, h); n != 5 {
						t.Errorf("%d calls without a key served from %s, want 5", n, peer)
					}
				}
			})
		})
	}
}

func TestAttackTwoKeys(t *testing.T) {
	limiter := newLimiter(t, five, ratelimit.Config{})
	reached := false
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.First(middleware.Header("X-API-Key"), middleware.Bearer())}))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for _, header := range []http.Header{
		{"X-API-Key": {"mine", "victim"}},
		{"X-API-Key": {"victim", "victim"}},
		{"X-API-Key": {"", "victim"}},
		{"Authorization": {"Bearer mine", "Bearer victim"}},
	} {
		wantStatus(t, h, call{header: header}, http.StatusBadRequest)
	}
	if reached {
		t.Error("the handler was reached")
	}
	for _, key := range []string{"mine", "victim", "", middleware.AddressKey(call{}.addr())} {
		if r, err := limiter.Peek(t.Context(), key); err != nil || r.Remaining != 5 {
			t.Errorf("key %q was charged (error %v)", key, err)
		}
	}
}

func TestAttackStrangeKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		mebibyte := strings.Repeat("k", 1<<20)
		keys := []string{
			mebibyte, mebibyte + "k", mebibyte[1:] + "l", "\x00", "\x00\x00", "a\x00", "a\x00b", "a\tb", "a b", "a\r\nb", "{}", "*", "a*", "\xff", "\xff\xfe",
			"key", "kеy" /* a Cyrillic letter */, "KEY", "ke\u200by", "\u00e9", "e\u0301", "192.0.2.1", "ip 192.0.2.1", "unknown", "sha256 x",
		}
		for _, key := range keys {
			if n := (call{header: http.Header{"X-API-Key": {key}}}).exhaust(t, h); n != 5 {
				t.Errorf("key %.20q: %d calls served, want 5 of its own", key, n)
			}
		}
		wantStatus(t, h, call{}, http.StatusOK) // the address has its own
		for _, padded := range []string{" key", "key ", "\tkey\t ", "  key"} {
			wantStatus(t, h, call{header: http.Header{"X-API-Key": {padded}}}, http.StatusTooManyRequests)
		}
	})
}

// TestAttackAmbiguousJoin: nothing is joined. Keys are whole, an address is no key,
// and a long key's hash is none either.
func TestAttackAmbiguousJoin(t *testing.T) {
	seen := map[string]string{}
	add := func(what, bucket string) {
		if other, ok := seen[bucket]; ok {
			t.Errorf("%s and %s have the bucket %q", what, other, bucket)
		}
		seen[bucket] = what
	}
	long := strings.Repeat("x", middleware.MaxKey+1)
	keys := []string{
		"a|b", "a|", "|b", "a:b", "ip 192.0.2.1", "192.0.2.1", "2001:db8::/64", "unknown", "ip unknown", "sha256", long, long + "y",
		strings.TrimSpace(middleware.BucketKey(long)), strings.TrimSpace(middleware.BucketKey(long + "y")), long[1:],
	}
	for _, key := range keys {
		add(fmt.Sprintf("the key %q", key), middleware.BucketKey(key))
	}
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("2001:db8::1")} {
		add(fmt.Sprintf("the address %v", addr), middleware.AddressKey(addr))
	}
	for _, bucket := range []string{middleware.AddressKey(netip.Addr{}), middleware.AddressKey(netip.MustParseAddr("192.0.2.1")), middleware.BucketKey(long)} {
		if got := middleware.BucketKey(bucket); seen[got] != "" && got == bucket {
			t.Errorf("a key can name the bucket %q", bucket)
		}
	}

	// The same through the door, with a KeyFunc that passes on any bytes.
	synctest.Test(t, func(t *testing.T) {
		raw := middleware.Config{Key: keyFunc(func(r *http.Request) string { return r.URL.Query().Get("key") })}
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), raw))(hello)
		for _, query := range []string{"%20ip%20192.0.2.1", "ip%20192.0.2.1", "%00ip%20192.0.2.1", "192.0.2.1"} {
			for range 9 {
				call{target: "/?key=" + query, peer: "203.0.113.7:1"}.to(h)
			}
		}
		wantStatus(t, h, call{peer: "192.0.2.1:1"}, http.StatusOK)
	})
}

func TestAttackIPv6Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(hello)
		served := 0
		for i := range 200 {
			if (call{peer: fmt.Sprintf("[2001:db8::%x:%x%%eth%d]:%d", i, i*7, i, 1024+i)}).to(h).Code == http.StatusOK {
				served++
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 addresses in one /64 served, want 5", served)
		}
		wantStatus(t, h, call{peer: "[2001:db8:0:1::1]:1"}, http.StatusOK)
		for i := range 20 { // IPv4-mapped: a bucket each, the same as for IPv4
			for range 5 {
				wantStatus(t, h, call{peer: fmt.Sprintf("[::ffff:192.0.2.%d]:1", i)}, http.StatusOK)
			}
			wantStatus(t, h, call{peer: fmt.Sprintf("192.0.2.%d:1", i)}, http.StatusTooManyRequests)
		}
	})
}

func TestAttackPathSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		served := 0
		for i := range 20 {
			for _, target := range []string{"/x", "//x", "/%78", "/./x", "/x/", "/x?", "/X", fmt.Sprintf("/x?n=%d", i), fmt.Sprintf("/x/../%d", i), "http://other/x"} {
				if (call{key: "k", target: target}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 spellings of the path served, want 5", served)
		}
	})
	t.Run("by pattern", func(t *testing.T) { // a limit of a route's own
		synctest.Test(t, func(t *testing.T) {
			limit := middleware.Must(middleware.RateLimit(newLimiter(t, five.Named("x"), ratelimit.Config{}), byKey))
			mux := http.NewServeMux()
			mux.Handle("GET /x", limit(hello))
			served := 0
			for range 20 {
				for _, target := range []string{"/x", "/%78", "/x?a", "/%78?b"} {
					if (call{key: "k", target: target}).to(mux).Code == http.StatusOK {
						served++
					}
				}
			}
			if served != 5 {
				t.Errorf("%d of 80 spellings of a route served, want 5", served)
			}
		})
	})
}

func TestAttackUnlimitedMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		served := 0
		for range 20 {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"} {
				if (call{key: "k", method: method}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 calls served, want 5 in all", served)
		}
	})
}

// TestAttackManyOperations: a call that holds many operations costs as many, one
// with more than the burst is refused for good, and a handler can charge more when
// it knows more.
func TestAttackManyOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, five, ratelimit.Config{})
		config := byKey
		config.Cost = func(r *http.Request) int { return len(r.URL.Query()["op"]) }
		h := middleware.Must(middleware.RateLimit(limiter, config))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("more") {
				result, err := limiter.AllowN(r.Context(), middleware.BucketKey(r.Header.Get("X-API-Key")), 2)
				if err != nil || !result.Allowed {
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}
		}))
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3&op=4&op=5&op=6"}, http.StatusTooManyRequests)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3"}, http.StatusOK)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3"}, http.StatusTooManyRequests)
		wantStatus(t, h, call{key: "k", target: "/?op=1&more"}, http.StatusTooManyRequests)
		time.Sleep(time.Second)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3&more"}, http.StatusOK)
		wantStatus(t, h, call{key: "k", target: "/?op=1"}, http.StatusTooManyRequests)
	})
}

// TestAttackAmplifier: a refusal is smaller than the request that a browser sends,
// and writes nothing into the log.
func TestAttackAmplifier(t *testing.T) {
	var r recorder
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), r.watch(middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true})))(hello)
	for _, c := range []call{{key: "k"}, {}, {header: http.Header{"X-API-Key": {"a", "b"}}}} {
		for range 1000 {
			if n := len(dump(c.to(h))); n > 800 {
				t.Fatalf("a response of %d bytes", n)
			}
		}
	}
	if r.logged() > 0 || len(r.faults()) > 0 {
		t.Errorf("3000 refused calls made %d lines and %d faults", r.logged(), len(r.faults()))
	}
}

func TestAttackCost(t *testing.T) {
	const most = int(^uint(0) >> 1)
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		cost := 0
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), r.watch(middleware.Config{Cost: func(*http.Request) int { return cost }})))(hello)
		for i, step := range []struct {
			cost, status int
		}{{most, 429}, {6, 429}, {-1, 200}, {-most - 1, 200}, {3, 200}, {-5, 429}, {1, 429}, {most, 429}} {
			cost = step.cost
			if w := (call{}).to(h); w.Code != step.status {
				t.Errorf("step %d, cost %d: status %d, want %d", i, cost, w.Code, step.status)
			}
		}
		if want := slices.Repeat([]string{middleware.FaultNegativeCost}, 3); !slices.Equal(r.faults(), want) {
			t.Errorf("faults %q, want %q", r.faults(), want)
		}
	})
}

// TestAttackRandomKeys: keys without end, however long, take no memory here and a
// bounded amount in the store.
func TestAttackRandomKeys(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(limiterOn(t, memstore.New(memstore.Config{MaxKeys: 1000}), ratelimit.PerHour(5), ratelimit.Config{}), byKey))(hello)
	victim := call{key: "victim"}
	victim.exhaust(t, h)
	w, r := &sink{header: http.Header{}}, call{}.request()
	for i := range 20_000 {
		r.Header["X-Api-Key"] = []string{fmt.Sprintf("%0*d", 1+i%1000, i)}
		w.reset()
		h.ServeHTTP(w, r)
	}
	wantStatus(t, h, victim, http.StatusTooManyRequests)
}

func TestAttackMetricLabels(t *testing.T) {
	var r recorder
	h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), r.watch(middleware.Config{
		Key: keyFunc(func(r *http.Request) string {
			if len(r.URL.Path)%2 == 0 {
				panic(r.URL.Path)
			}
			return r.URL.Path
		}),
	})))(hello)
	w, q := &sink{header: http.Header{}}, call{}.request()
	calls := testkit.Count(10_000, 100_000)
	for i := range calls {
		q.URL.Path = fmt.Sprint("/", i)
		w.reset()
		h.ServeHTTP(w, q)
	}
	classes := map[string]int{}
	for _, class := range r.faults() {
		classes[class]++
	}
	if len(classes) != 2 || classes["down"] != calls {
		t.Errorf("classes %v, want 2 of them", classes)
	}
}

// TestAttackReflection: of two requests that differ in all that a caller can write,
// the responses do not differ.
func TestAttackReflection(t *testing.T) {
	script := "<script>alert(1)</script>\"'\\"
	for _, c := range append(faultCases(),
		faultCase{name: "denied", before: 5},
		faultCase{name: "no key", config: middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true}},
	) {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				respond := func(q call) string {
					h := c.handler(t, new(recorder))
					for range c.before {
						q.to(h)
					}
					return dump(q.to(h))
				}
				key := ""
				if c.call.key != "" {
					key = script
				}
				plain := respond(c.call)
				if got := respond(call{key: key, target: "/%3Cscript%3E?q=%22", peer: "203.0.113.9:1", header: http.Header{
					"User-Agent": {script}, "Referer": {script}, "Accept": {"text/html"}, "X-Forwarded-For": {script},
				}}); got != plain {
					t.Errorf("the responses differ:\n%s\n%s", got, plain)
				}
				if w := plain; strings.HasPrefix(w, "HTTP/1.1 4") && !strings.HasPrefix(w, "HTTP/1.1 420") && !strings.Contains(w, "X-Content-Type-Options: nosniff\n") {
					t.Errorf("not nosniff:\n%s", w)
				}
			})
		})
	}
}

// TestAttackSilentFailOpen: while the store fails calls pass, and each is told.
func TestAttackSilentFailOpen(t *testing.T) {
	var r recorder
	var events []ratelimit.Event
	limiter := limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{
		Observe: func(_ context.Context, e ratelimit.Event) { events = append(events, e) },
	})
	h := middleware.Must(middleware.RateLimit(limiter, r.watch(middleware.Config{})))(hello)
	for range 100 {
		wantNoHeaders(t, wantStatus(t, h, call{}, http.StatusOK).Header())
	}
	if len(events) != 100 || len(r.faults()) != 100 || r.logged() < 1 || r.logged() > 3 {
		t.Errorf("%d events, %d faults, %d lines; want 100, 100, and at least one", len(events), len(r.faults()), r.logged())
	}
	for _, e := range events {
		if ratelimit.ErrorClass(e.Err) != "down" {
			t.Fatalf("event %+v", e)
		}
	}
	if !bytes.Contains([]byte(r.log()), []byte("served without a limit")) {
		t.Errorf("log %q", r.log())
	}
}

// TestConcurrent is for the race detector: all parts at once, from many goroutines.
func TestConcurrent(t *testing.T) {
	var r recorder
	limit := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(300), ratelimit.Config{}), r.watch(middleware.Config{
		Key: middleware.First(middleware.Header("X-API-Key"), middleware.ClientIP()), ResultInContext: true, ResetHeader: middleware.ResetAsTime,
		Cost:   func(r *http.Request) int { return len(r.URL.Path) - 2 },
		Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { panic("denied") },
	})))
	h := limit(http.HandlerFunc(limit(hello).ServeHTTP))
	done := make(chan int)
	for i := range 8 {
		go func() {
			n := 0
			for j := range 300 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, call{key: []string{"", "k"}[i%2], target: []string{"/", "/a", "/ab"}[j%3]}.request())
				if w.Code == http.StatusOK {
					n++
				}
			}
			done <- n
		}()
	}
	served := 0
	for range 8 {
		served += <-done
	}
	if served < 200 || served > 1200 {
		t.Errorf("%d served", served)
	}
}
