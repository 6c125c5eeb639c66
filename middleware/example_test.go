package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

// mustLimiter keeps the examples to what they are about.
func mustLimiter(limits ratelimit.Limits) *ratelimit.Limiter {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	return limiter
}

// ask sends a request with the given headers, "Name: value", and prints the status.
func ask(h http.Handler, headers ...string) http.Header {
	r := httptest.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // no context in an example
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, http.StatusText(w.Code))
	return w.Header()
}

var api = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

// Each API key may call twice per minute.
func ExampleRateLimit() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(2), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")}))

	h := limit(api)
	ask(h, "X-API-Key: a")
	ask(h, "X-API-Key: a")
	header := ask(h, "X-API-Key: a")
	fmt.Println("Retry-After:", header.Get("Retry-After"))
	ask(h, "X-API-Key: b")
	// Output:
	// 200 OK
	// 200 OK
	// 429 Too Many Requests
	// Retry-After: 30
	// 200 OK
}

// An export that is held to a limit of its own beside the key's, and a search that costs
// ten tokens. They go by the pattern that the mux finds, not by a spelling of the path.
func ExampleRoutes() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(100), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /search", api)
	mux.Handle("GET /export/{id}", api)
	mux.Handle("GET /", api)
	h, err := middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key")},
		middleware.Route{Pattern: "GET /search", Cost: 10},
		middleware.Route{Pattern: "GET /export/{id}", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}},
	)
	if err != nil {
		log.Fatal(err)
	}

	for _, path := range []string{"/search", "/export/7", "/%65xport/8", "/"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil)) //nolint:noctx // no context in an example
		fmt.Println(path, w.Code, w.Header().Get(middleware.HeaderRateLimit))
	}
	// Output:
	// /search 200 "default";r=90;t=3240
	// /export/7 200 "GET /export/{id}";r=0;t=3600, "default";r=89;t=3204
	// /%65xport/8 429 "GET /export/{id}";r=0;t=3600, "default";r=89;t=3204
	// / 200 "default";r=88;t=3168
}

// A proxy that limits its callers, before an API that limits the proxy.
func ExampleMergeUpstream() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "3600")
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(2)), middleware.Config{}))

	for _, h := range []http.Handler{limit(proxy), limit(middleware.Must(middleware.MergeUpstream(proxy)))} {
		header := ask(h)
		fmt.Println("remaining:", header["X-Rate-Limit-Remaining"], header["X-Ratelimit-Remaining"])
	}
	// Output:
	// 200 OK
	// remaining: [1] [3600]
	// 200 OK
	// remaining: [0] []
}

// Names of limits as callers see them.
func ExampleRouteName() {
	fmt.Println(middleware.RouteName("GET /export/{id}", ""))
	fmt.Println(middleware.RouteName("GET /export/{id}", "daily"))
	fmt.Println(middleware.RouteName("/~menu/crème;brûlée", ""))
	fmt.Println(middleware.RouteName("GET /accounts/{account}/reports/{year}/{report}/export.csv", "daily"))
	// Output:
	// GET /export/{id}
	// GET /export/{id}#daily
	// /%7Emenu/cr%C3%A8me%3Bbr%C3%BBl%C3%A9e
	// GET /accounts/{account}/reports/{year}/{report}/export.csv#daily
}

func ExampleHeader() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{Key: middleware.Header("X-API-Key")}))
	h := limit(api)
	ask(h, "X-API-Key: a")
	ask(h, "X-API-Key: a", "X-API-Key: b") // which of them would the application use?
	// Output:
	// 200 OK
	// 400 Bad Request
}

// The common mistake: the client writes X-Forwarded-For. With a new address for each
// request it is never denied. ExampleClientIP shows the right way.
func ExampleHeader_incorrect() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{Key: middleware.Header("X-Forwarded-For")}))
	h := limit(api)
	ask(h, "X-Forwarded-For: 203.0.113.1")
	ask(h, "X-Forwarded-For: 203.0.113.2")
	// Output:
	// 200 OK
	// 200 OK
}

func ExampleBearer() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{
		Key:        middleware.Bearer(),
		RequireKey: true,
		Challenge:  "Bearer",
	}))
	h := limit(api)
	ask(h, "Authorization: Bearer abc")
	ask(h, "Authorization: bearer  abc")
	ask(h, "Authorization: x Bearer abc")
	// Output:
	// 200 OK
	// 429 Too Many Requests
	// 401 Unauthorized
}

// Behind a proxy in 192.0.2.0/24, which appends the client's address.
func ExampleClientIP() {
	proxies := netip.MustParsePrefix("192.0.2.0/24") // httptest's requests come from there
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{Key: middleware.ClientIP(proxies)}))
	h := limit(api)
	ask(h, "X-Forwarded-For: 203.0.113.7")
	ask(h, "X-Forwarded-For: 198.51.100.1, 203.0.113.7") // the first is invented
	ask(h, "X-Forwarded-For: 203.0.113.8")
	// Output:
	// 200 OK
	// 429 Too Many Requests
	// 200 OK
}

func ExampleFirst() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{
		Key: middleware.First(middleware.Header("X-API-Key"), middleware.Bearer()),
	}))
	h := limit(api)
	ask(h, "X-API-Key: a")
	ask(h, "Authorization: Bearer a")
	// Output:
	// 200 OK
	// 429 Too Many Requests
}

// The best key is what authentication has verified. It runs first, and puts the
// identity into the context.
func ExampleKeyFunc() {
	type user struct{}
	authenticate := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, password, ok := r.BasicAuth(); ok && password == "secret" {
				r = r.WithContext(context.WithValue(r.Context(), user{}, name))
			}
			next.ServeHTTP(w, r)
		})
	}
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{
		Key: middleware.KeyFunc(func(r *http.Request) (string, error) {
			name, _ := r.Context().Value(user{}).(string)
			return name, nil // "" for a stranger, who is limited by the address
		}),
	}))
	h := authenticate(limit(api))
	ask(h, "Authorization: Basic YWxpY2U6c2VjcmV0") // alice:secret
	ask(h, "Authorization: Basic YWxpY2U6Z3Vlc3M=") // alice:guess
	ask(h, "Authorization: Basic Ym9iOmd1ZXNz")     // bob:guess, from the same address
	// Output:
	// 200 OK
	// 200 OK
	// 429 Too Many Requests
}

func ExampleConfig() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(10)), middleware.Config{
		Key:         middleware.Header("X-API-Key"),
		Skip:        func(r *http.Request) bool { return r.URL.Path == "/healthz" },
		Cost:        func(r *http.Request) int { return max(1, len(r.URL.Query()["id"])) },
		FailClosed:  true,
		LimitHeader: middleware.LimitAsPeriod,
		ResetHeader: middleware.ResetAsDelta,
		Jitter:      time.Second,
		OnFault:     func(_ context.Context, class string) { fmt.Println("count a fault of class", class) },
	}))
	header := ask(limit(api), "X-API-Key: a")
	fmt.Println("X-Rate-Limit-Limit:", header.Get("X-Rate-Limit-Limit"))
	fmt.Println("X-Rate-Limit-Reset:", header.Get("X-Rate-Limit-Reset"))
	// Output:
	// 200 OK
	// X-Rate-Limit-Limit: 1m
	// X-Rate-Limit-Reset: 6
}

// An answer of one's own. The rate-limit headers are set already.
func ExampleConfig_denied() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{
		Denied: func(w http.ResponseWriter, _ *http.Request, result ratelimit.Result) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprintf(w, "slow down: %v\n", result.Limit())
		},
	}))
	h := limit(api)
	ask(h)
	header := ask(h)
	fmt.Println(header.Get("Content-Type"), header.Get("Retry-After"))
	// Output:
	// 200 OK
	// 429 Too Many Requests
	// text/plain; charset=utf-8 60
}

// One line, for a program that cannot start without its limits.
func ExampleMust() {
	h := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(1)), middleware.Config{}))(api)
	ask(h)
	ask(h)
	// Output:
	// 200 OK
	// 429 Too Many Requests
}

// All faults are reported at once.
func ExampleRateLimit_incorrect() {
	_, err := middleware.RateLimit(mustLimiter(ratelimit.PerMinute(10)), middleware.Config{RequireKey: true, Jitter: -time.Second})
	fmt.Println(err)
	// Output:
	// middleware: Config.RequireKey true needs a Key, such as middleware.Header("X-API-Key")
	// middleware: Config.Jitter -1s must be from 0 to 1h0m0s
}

func ExampleResultFrom() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(10)), middleware.Config{ResultInContext: true}))
	ask(limit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if result, ok := middleware.ResultFrom(r.Context()); ok && result.Remaining() < 10 {
			fmt.Println("only", result.Remaining(), "calls left")
		}
	})))
	// Output:
	// only 9 calls left
	// 200 OK
}

// What a customer has used, logged by a hash that stands for the key.
func ExampleKeyFrom() {
	config := middleware.Config{Key: middleware.Header("X-API-Key"), ResultInContext: true}
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(10)), config))
	ask(limit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if key, ok := middleware.KeyFrom(r.Context()); ok && !middleware.IsAddressKey(key) {
			fmt.Println("called by", ratelimit.HashKey(key)[:15])
		}
	})), "X-API-Key: a")
	// Output:
	// called by sha256:ca978112
	// 200 OK
}

// A page on which callers see what they have left. It is outside the limit, so it costs nothing.
func ExampleQuota() {
	limiter := mustLimiter(ratelimit.PerMinute(10))
	config := middleware.Config{Key: middleware.Header("X-API-Key")}
	limit := middleware.Must(middleware.RateLimit(limiter, config))
	mux := http.NewServeMux()
	mux.Handle("/quota", middleware.Must(middleware.Quota(limiter, middleware.QuotaConfig{Config: config})))
	mux.Handle("/", limit(api))

	ask(mux, "X-API-Key: a")
	r := httptest.NewRequest(http.MethodGet, "/quota", nil) //nolint:noctx // no context in an example
	r.Header.Set("X-API-Key", "a")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	var quota struct {
		Limits []struct {
			Name, Text string
			Remaining  int
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &quota); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", quota.Limits)
	// Output:
	// 200 OK
	// [{Name:default Text:10/m Remaining:9}]
}

// Scripts of another origin see only the headers that are named to the browser.
func ExampleHeaders() {
	expose := strings.Join(middleware.Headers(), ", ")
	cors := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Expose-Headers", expose)
			next.ServeHTTP(w, r)
		})
	}
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerMinute(10)), middleware.Config{}))
	fmt.Println(ask(cors(limit(api))).Get("Access-Control-Expose-Headers"))
	// Output:
	// 200 OK
	// Ratelimit-Policy, Ratelimit, X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Reset, Retry-After, Retry-After-Ms
}

// An operator forgives a caller, by key or by address.
func ExampleBucketKey() {
	limiter := mustLimiter(ratelimit.PerMinute(1))
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")}))(api)
	ask(h, "X-API-Key: a")
	ask(h, "X-API-Key: a")
	if err := limiter.Reset(context.Background(), middleware.BucketKey("a")); err != nil {
		log.Fatal(err)
	}
	ask(h, "X-API-Key: a")
	// Output:
	// 200 OK
	// 429 Too Many Requests
	// 200 OK
}

// One address has a policy of its own.
func ExampleAddressKey() {
	policy, err := ratelimit.NewPolicy(ratelimit.PerMinute(60))
	if err != nil {
		log.Fatal(err)
	}
	table, err := plans.NewTable(plans.TableConfig{
		Default: policy,
		Keys:    map[string]*ratelimit.Policy{middleware.AddressKey(netip.MustParseAddr("192.0.2.1")): ratelimit.Unlimited},
	})
	if err != nil {
		log.Fatal(err)
	}
	h := middleware.Must(middleware.RateLimit(mustLimiter(table), middleware.Config{Key: middleware.Header("X-API-Key")}))(api)
	fmt.Printf("%q\n", ask(h).Get(middleware.HeaderRemaining))
	fmt.Printf("%q\n", ask(h, "X-API-Key: a").Get(middleware.HeaderRemaining))
	// Output:
	// 200 OK
	// ""
	// 200 OK
	// "59"
}

// Callers without a key get less.
func ExampleIsAddressKey() {
	plan, err := ratelimit.NewPolicy(ratelimit.PerMinute(60))
	if err != nil {
		log.Fatal(err)
	}
	anonymous, err := ratelimit.NewPolicy(ratelimit.PerMinute(5))
	if err != nil {
		log.Fatal(err)
	}
	limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		if middleware.IsAddressKey(key) {
			return anonymous, nil
		}
		return plan, nil
	})
	h := middleware.Must(middleware.RateLimit(mustLimiter(limits), middleware.Config{Key: middleware.Header("X-API-Key")}))(api)
	fmt.Println(ask(h).Get(middleware.HeaderLimit))
	fmt.Println(ask(h, "X-API-Key: a").Get(middleware.HeaderLimit))
	// Output:
	// 200 OK
	// 5
	// 200 OK
	// 60
}

func ExampleHealth() {
	h := middleware.Health(mustLimiter(ratelimit.PerMinute(1)))
	ask(h)
	// Output:
	// 200 OK
}
