package fiberlimit_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/fiberlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestStrings: the keys that a limiter gets stay as they are when fasthttp uses the memory of a
// request again.
func TestStrings(t *testing.T) {
	for name, key := range map[string]fiberlimit.Key{
		"Header":  fiberlimit.Header("X-API-Key"),
		"Bearer":  fiberlimit.Bearer(),
		"KeyFunc": fiberlimit.KeyFunc(func(c fiber.Ctx) (string, error) { return c.Get("X-API-Key"), nil }),
		"First":   fiberlimit.First(fiberlimit.Header("X-None"), fiberlimit.KeyFunc(func(c fiber.Ctx) (string, error) { return c.Query("key"), nil })),
	} {
		t.Run(name, func(t *testing.T) {
			var kept, in []string
			limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
				kept = append(kept, key)
				return ratelimit.NewPolicy(ratelimit.PerHour(5))
			})
			limit := handler(t, limits, fiberlimit.Config{Key: key, ResultInContext: true})
			app := fiber.New()
			app.Get("/", limit, func(c fiber.Ctx) error {
				key, _ := middleware.KeyFrom(c.Context())
				in = append(in, key)
				return nil
			})
			client := newClient(app)
			want := []string{"alice-1", "bobby-2", "carol-3"}
			for _, key := range want {
				client.do("GET", "/?key="+key, "X-API-Key", key, "Authorization", "Bearer "+key)
			}
			if !slices.Equal(kept, want) || !slices.Equal(in, want) {
				t.Errorf("the limiter kept %q, the handlers %q, want %q", kept, in, want)
			}
		})
	}
}

// TestReportedKeys: the denial report and the shadow report list keys as they were.
func TestReportedKeys(t *testing.T) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{Shadow: true})
	if err != nil {
		t.Fatal(err)
	}
	limit, err := fiberlimit.New(limiter, fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	app.Get("/", limit, hello)
	client := newClient(app)
	for _, key := range []string{"alice", "alice", "bobby", "bobby"} {
		client.want(t, 200, "/", key)
	}
	var listed []string
	for _, k := range limiter.ShadowReport().Keys {
		listed = append(listed, k.Key)
	}
	for _, key := range []string{"alice", "bobby"} {
		if !slices.Contains(listed, ratelimit.HashKey(key)) {
			t.Errorf("the report %q lacks %s", listed, key)
		}
	}
}

// TestNextTwice: a middleware that calls Next twice does not get a denied request to the handler.
func TestNextTwice(t *testing.T) {
	for _, form := range []string{"Use", "Around"} {
		ran := 0
		handle := func(fiber.Ctx) error { ran++; return nil }
		twice := func(c fiber.Ctx) error {
			if err := c.Next(); err != nil {
				return err
			}
			return c.Next()
		}
		limiter := newLimiter(t, ratelimit.PerHour(1))
		app := fiber.New()
		if form == "Use" {
			limit, err := fiberlimit.New(limiter, fiberlimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			app.Use(limit, twice)
			app.Get("/", handle)
		} else {
			limited, err := fiberlimit.Around(limiter, fiberlimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			app.Use(twice)
			app.Get("/", twice, limited(handle))
		}
		client := newClient(app)
		client.do("GET", "/")
		ran = 0
		client.do("GET", "/")
		if ran != 0 {
			t.Errorf("%s: a denied request has reached the handler %d times", form, ran)
		}
	}
}

// TestErrors: what the next handler returns or panics with is passed on, with the headers of the
// decision, and places are free again.
func TestErrors(t *testing.T) {
	var f faults
	limit := handler(t, middleware.Must(ratelimit.NewPolicy(ratelimit.AtOnce(1), ratelimit.PerHour(5))), f.config())
	app := fiber.New()
	app.Use(recoverer.New(), limit)
	app.Get("/teapot", func(fiber.Ctx) error { return fiber.NewError(fiber.StatusTeapot, "short and stout") })
	app.Get("/panic", func(fiber.Ctx) error { panic("out of tea") })
	client := newClient(app)
	for path, status := range map[string]int{"/teapot": 418, "/panic": 500, "/none": 404} {
		r := client.do("GET", path, "X-API-Key", "alice")
		if r.StatusCode() != status || len(r.Header.Peek("RateLimit")) == 0 {
			t.Errorf("%s: %v", path, r)
		}
	}
	app = fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error { return c.SendString(err.Error()) }})
	app.Use(handler(t, ratelimit.PerHour(1), fiberlimit.Config{
		Denied: func(_ fiber.Ctx, r ratelimit.Result) error { return errors.New("wait for " + r.Limit().Name) },
	}))
	app.Get("/", hello)
	client = newClient(app)
	client.do("GET", "/")
	if r := client.do("GET", "/"); string(r.Body()) != "wait for default" || string(r.Header.Peek("Retry-After")) == "" {
		t.Errorf("an error of Denied: %v", r)
	}
	f.want(t)
}

// TestDenied: Denied responds, or else the problem is sent.
func TestDenied(t *testing.T) {
	const problem = `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded"`
	for _, test := range []struct {
		name   string
		denied func(fiber.Ctx, ratelimit.Result) error
		status int
		begin  string
		faults []string
	}{
		{"a body", func(c fiber.Ctx, _ ratelimit.Result) error { return c.SendString("no") }, 200, "no", nil},
		{"a status", func(c fiber.Ctx, _ ratelimit.Result) error { c.Status(403); return nil }, 403, "", nil},
		{"nothing", func(c fiber.Ctx, _ ratelimit.Result) error { c.Set("X-Seen", "1"); return nil }, 429, problem, []string{middleware.FaultDeniedSilent}},
		{"a panic", func(c fiber.Ctx, _ ratelimit.Result) error {
			_ = c.Status(201).SendString("half")
			panic("no")
		}, 429, problem, []string{middleware.FaultDeniedPanic}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var f faults
			c := f.config()
			c.Denied = test.denied
			app := fiber.New()
			app.Use(func(c fiber.Ctx) error {
				c.Set(fiber.HeaderContentEncoding, "br")
				return c.Next()
			}, handler(t, ratelimit.PerHour(1), c))
			app.Get("/", hello)
			client := newClient(app)
			client.want(t, 200, "/", "alice")
			r := client.do("GET", "/", "X-API-Key", "alice")
			if r.StatusCode() != test.status || !strings.HasPrefix(string(r.Body()), test.begin) || string(r.Header.Peek("RateLimit")) != `"default";r=0;t=3600` {
				t.Errorf("%v", r)
			}
			if test.begin == problem && (string(r.Header.ContentType()) != "application/problem+json" || len(r.Header.ContentEncoding()) > 0) {
				t.Errorf("%v", &r.Header)
			}
			f.want(t, test.faults...)
		})
	}
}

// TestRoutes: routes have limits by their patterns, those of groups too; HEAD has those of GET.
func TestRoutes(t *testing.T) {
	var f faults
	c := f.config()
	var patterns []string
	c.Observe = func(_ fiber.Ctx, e middleware.Event) { patterns = append(patterns, e.Pattern) }
	limiter := newLimiter(t, ratelimit.PerHour(100))
	limit, err := fiberlimit.New(limiter, c,
		middleware.Route{Pattern: "GET /v1/export/:id", Limits: []ratelimit.Limit{ratelimit.PerHour(2)}},
		middleware.Route{Pattern: "/v1/any", Cost: 60},
		middleware.Route{Pattern: "GET /", Cost: 100})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	v1 := app.Group("/v1")
	v1.Get("/export/:id", limit, hello)
	v1.All("/any", limit, hello)
	v1.Post("/other", limit, hello)
	err = fiberlimit.CheckRoutes(app, middleware.Route{Pattern: "GET /v1/export/:id"}, middleware.Route{Pattern: "HEAD /v1/export/:id"},
		middleware.Route{Pattern: "/v1/any"}, middleware.Route{Pattern: "GET /v1/other"}, middleware.Route{Pattern: "GET /v1"})
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), `routes[3] "GET /v1/other"`) || !strings.Contains(err.Error(), `routes[4] "GET /v1"`) {
		t.Errorf("CheckRoutes: %v", err)
	}
	client := newClient(app)
	client.want(t, 200, "/v1/export/1", "alice")
	if r := client.do("HEAD", "/v1/export/2", "X-API-Key", "alice"); r.StatusCode() != 200 {
		t.Errorf("HEAD: %v", r)
	}
	if r := client.do("GET", "/v1/EXPORT/3/", "X-API-Key", "alice"); r.StatusCode() != 429 || !strings.HasPrefix(string(r.Header.Peek("RateLimit")), `"GET /v1/export/:id";r=0`) {
		t.Errorf("another spelling: %v", r)
	}
	for range 2 {
		if r := client.do("POST", "/v1/other", "X-API-Key", "alice"); r.StatusCode() != 200 {
			t.Errorf("another route: %v", r)
		}
	}
	if r := client.do("PUT", "/v1/any", "X-API-Key", "alice"); r.StatusCode() != 200 || string(r.Header.Peek("X-Rate-Limit-Remaining")) != "36" {
		t.Errorf("a route of all methods: %v", r)
	}
	if want := []string{"GET /v1/export/:id", "HEAD /v1/export/:id", "GET /v1/export/:id", "POST /v1/other", "POST /v1/other", "PUT /v1/any"}; !slices.Equal(patterns, want) {
		t.Errorf("patterns %q, want %q", patterns, want)
	}
	f.want(t)

	app = fiber.New()
	app.Use(limit) // which is not the route "GET /"
	app.Get("/v1/export/:id", hello)
	newClient(app).want(t, 200, "/v1/export/1", "bob")
	f.want(t, fiberlimit.FaultNoRoute)
}

// TestConfigFaults: the error lists each fault, as that of package middleware does.
func TestConfigFaults(t *testing.T) {
	limiter := newLimiter(t, ratelimit.PerHour(3))
	_, err := fiberlimit.New(limiter, fiberlimit.Config{
		Key:            fiberlimit.First(fiberlimit.Header("X API"), fiberlimit.KeyFunc(nil), fiberlimit.ClientIP(netip.MustParsePrefix("0.0.0.0/0")), fiberlimit.First()),
		TrustedProxies: []netip.Prefix{{}}, Challenge: "\n", Jitter: -1, LimitHeader: 7, ResetHeader: 7,
		Cost: func(fiber.Ctx) int { return 1 }, Reserve: func(fiber.Ctx) int { return 1 },
	}, middleware.Route{Pattern: "GET /a", Cost: 4}, middleware.Route{})
	for _, want := range []string{
		`Header("X API")`, "KeyFunc: f", "ClientIP: trusted[0]", "First()", "TrustedProxies[0]", "Challenge", "Jitter", "LimitHeader", "ResetHeader",
		"Reserve must not be set beside Cost", `routes[0] "GET /a"`, `routes[1] ""`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if _, err := fiberlimit.Around(nil, fiberlimit.Config{SettleBy: func(int, fiber.Ctx) int { return 1 }, RequireKey: true}); err == nil ||
		!strings.Contains(err.Error(), "SettleBy needs") || !strings.Contains(err.Error(), "RequireKey") || !strings.Contains(err.Error(), "limiter is nil") {
		t.Errorf("%v", err)
	}
}

// TestMounted: CheckRoutes knows the routes of apps that are mounted, before the app serves.
func TestMounted(t *testing.T) {
	routes := []middleware.Route{{Pattern: "GET /api/v1/export/:id", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}}
	limit, err := fiberlimit.New(newLimiter(t, ratelimit.PerHour(3)), fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")}, routes...)
	if err != nil {
		t.Fatal(err)
	}
	app, api, v1 := fiber.New(), fiber.New(), fiber.New()
	v1.Get("/export/:id", limit, hello)
	api.Use("/v1", v1)
	app.Use("/api", api)
	if err := fiberlimit.CheckRoutes(app, routes...); err != nil {
		t.Error(err)
	}
	if err := fiberlimit.CheckRoutes(app, middleware.Route{Pattern: "GET /v1/export/:id"}); err == nil {
		t.Error("a pattern without a prefix is no error")
	}
	client := newClient(app)
	client.want(t, 200, "/api/v1/export/1", "alice")
	client.want(t, 429, "/api/v1/export/2", "alice")
}

// TestTwice: a middleware that is registered twice charges twice, and reports it once.
func TestTwice(t *testing.T) {
	var f faults
	limit := handler(t, ratelimit.PerHour(10), f.config())
	app := fiber.New()
	app.Use(limit)
	app.Get("/", limit, hello)
	app.Get("/other", hello)
	client := newClient(app)
	client.want(t, 200, "/other", "alice")
	f.want(t)
	for range 3 {
		client.want(t, 200, "/", "alice")
	}
	f.want(t, middleware.FaultChargedTwice)
	if got := string(client.ctx.Response.Header.Peek("X-Rate-Limit-Remaining")); got != "3" {
		t.Errorf("%s remain, want 3", got)
	}
}

// TestNested: of two limiters the response describes the tighter one.
func TestNested(t *testing.T) {
	c := fiberlimit.Config{ResetHeader: middleware.ResetAsDelta}
	day, hour := handler(t, ratelimit.PerDay(9).Named("day"), c), handler(t, ratelimit.PerHour(2).Named("hour"), fiberlimit.Config{})
	app := fiber.New()
	app.Get("/tighter", day, hour, hello)
	app.Get("/wider", hour, day, hello)
	client := newClient(app)
	r := client.do("GET", "/tighter")
	if got := string(r.Header.Peek("RateLimit")); got != `"hour";r=1;t=1800` || len(r.Header.Peek("X-Rate-Limit-Reset")) > 0 {
		t.Errorf("the inner one is tighter: %v", &r.Header)
	}
	r = client.do("GET", "/wider")
	if got := string(r.Header.Peek("RateLimit")); got != `"hour";r=0;t=1800` || len(r.Header.Peek("X-Rate-Limit-Reset")) > 0 {
		t.Errorf("the outer one is tighter: %v", &r.Header)
	}
	r = client.do("GET", "/tighter")
	if r.StatusCode() != 429 || len(r.Header.Peek("X-Rate-Limit-Reset")) > 0 || len(r.Header.PeekAll("RateLimit")) != 1 {
		t.Errorf("the inner one denies: %v", &r.Header)
	}
}

// TestAddresses: a client's address is that of the peer, or what a trusted peer names.
func TestAddresses(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, test := range []struct {
		name    string
		config  fiberlimit.Config
		app     fiber.Config
		peer    net.Addr
		headers []string
		want    string // "" is a 400
	}{
		{"the peer", fiberlimit.Config{}, fiber.Config{}, nil, []string{"X-Forwarded-For", "203.0.113.9"}, " ip 192.0.2.1"},
		{"a proxy", fiberlimit.Config{TrustedProxies: trusted}, fiber.Config{}, nil, []string{"X-Forwarded-For", "1.1.1.1, 203.0.113.9"}, " ip 203.0.113.9"},
		{"two lines", fiberlimit.Config{TrustedProxies: trusted}, fiber.Config{}, nil, []string{"X-Forwarded-For", "203.0.113.9", "x-forwarded-for", "192.0.2.7"}, " ip 203.0.113.9"},
		{"names as sent", fiberlimit.Config{TrustedProxies: trusted}, fiber.Config{DisableHeaderNormalizing: true}, nil, []string{"x-forwarded-FOR", "203.0.113.9"}, " ip 203.0.113.9"},
		{"Forwarded", fiberlimit.Config{TrustedProxies: trusted, AddressHeader: "forwarded"}, fiber.Config{}, nil, []string{"Forwarded", `for="[2001:db8::1]"`}, " ip 2001:db8::/64"},
		{"another header", fiberlimit.Config{TrustedProxies: trusted, AddressHeader: "CF-Connecting-IP"}, fiber.Config{}, nil, []string{"CF-Connecting-IP", "203.0.113.9"}, " ip 203.0.113.9"},
		{"that header twice", fiberlimit.Config{TrustedProxies: trusted, AddressHeader: "X-Real-IP"}, fiber.Config{}, nil, []string{"X-Real-IP", "203.0.113.9", "X-Real-IP", "203.0.113.9"}, ""},
		{"its own proxies", fiberlimit.Config{Key: fiberlimit.ClientIP(trusted...)}, fiber.Config{}, nil, []string{"X-Forwarded-For", "203.0.113.9"}, " ip 203.0.113.9"},
		{"IPv4 in IPv6", fiberlimit.Config{TrustedProxies: trusted}, fiber.Config{}, &net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.9")}, nil, " ip 192.0.2.9"},
		{"a Unix socket", fiberlimit.Config{}, fiber.Config{}, &net.UnixAddr{Name: "@", Net: "unix"}, []string{"X-Forwarded-For", "203.0.113.9"}, " ip unknown"},
		{"a trusted Unix socket", fiberlimit.Config{TrustUnixSocket: true}, fiber.Config{}, &net.UnixAddr{Name: "@", Net: "unix"}, []string{"X-Forwarded-For", "203.0.113.9"}, " ip 203.0.113.9"},
		{"another kind of address", fiberlimit.Config{}, fiber.Config{}, named("192.0.2.8:80"), nil, " ip 192.0.2.8"},
		{"a name", fiberlimit.Config{TrustUnixSocket: true}, fiber.Config{}, named("pipe"), []string{"X-Forwarded-For", "203.0.113.9"}, " ip unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got string
			limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
				got = key
				return ratelimit.NewPolicy(ratelimit.PerHour(1))
			})
			app := fiber.New(test.app)
			app.Get("/", handler(t, limits, test.config), hello)
			client := newClient(app)
			if test.peer != nil {
				client.ctx.Init(&client.ctx.Request, test.peer, nil)
			}
			if test.app.DisableHeaderNormalizing {
				client.ctx.Request.Header.DisableNormalizing()
			}
			r := client.do("GET", "/", test.headers...)
			if got != test.want || (r.StatusCode() == 400) != (test.want == "") {
				t.Errorf("the key is %q, want %q: %v", got, test.want, r)
			}
			for range 2 {
				client.do("GET", "/", test.headers...) // denied: it gets a place in the queue of its connection
			}
		})
	}
}

// named is the address of a peer that is neither TCP nor Unix.
type named string

func (n named) Network() string { return "other" }
func (n named) String() string  { return string(n) }

// TestFree: a preflight and what Skip exempts take nothing.
func TestFree(t *testing.T) {
	c := fiberlimit.Config{Skip: func(c fiber.Ctx) bool { return c.Path() == "/health" }}
	app := fiber.New()
	app.Use(handler(t, ratelimit.PerHour(1), c), hello)
	client := newClient(app)
	for range 3 {
		client.want(t, 200, "/health", "")
		if r := client.do("OPTIONS", "/", "Origin", "https://example.com", "Access-Control-Request-Method", "PUT"); r.StatusCode() != 200 || len(r.Header.Peek("RateLimit")) > 0 {
			t.Errorf("a preflight: %v", r)
		}
	}
	client.want(t, 200, "/", "")
	client.want(t, 429, "/", "")
}

// TestSettleBy: the price depends on the response, or on what the handler has settled.
func TestSettleBy(t *testing.T) {
	var f faults
	c := f.config()
	c.Cost = func(fiber.Ctx) int { return 2 }
	c.SettleBy = func(status int, c fiber.Ctx) int {
		switch {
		case c.Path() == "/broken":
			panic("SettleBy")
		case status == 200:
			c.Response().Header.Del("X-Used")
			return 5
		case status == 404:
			return 0
		case status == 500:
			return 1
		}
		return -1
	}
	app := fiber.New()
	app.Use(recoverer.New())
	limit := handler(t, ratelimit.PerHour(100), c)
	app.Get("/ok", limit, func(c fiber.Ctx) error { c.Set("X-Used", "5"); return nil })
	app.Get("/none", limit, func(fiber.Ctx) error { return fiber.ErrNotFound })
	app.Get("/error", limit, func(fiber.Ctx) error { return errors.New("disk") })
	app.Get("/panic", limit, func(fiber.Ctx) error { panic("disk") })
	app.Get("/settled", limit, func(c fiber.Ctx) error {
		if !middleware.Settle(c.Context(), 9) {
			t.Error("Settle returns false")
		}
		return nil
	})
	app.Get("/negative", limit, func(c fiber.Ctx) error { return c.SendStatus(201) })
	app.Get("/broken", limit, hello)
	client := newClient(app)
	left := 100
	for _, test := range []struct {
		path  string
		price int
	}{{"/ok", 5}, {"/none", 0}, {"/error", 1}, {"/panic", 1}, {"/settled", 9}, {"/negative", 2}, {"/broken", 2}} {
		r := client.do("GET", test.path, "X-API-Key", "alice")
		if len(r.Header.Peek("X-Used")) > 0 {
			t.Errorf("%v", &r.Header)
		}
		left -= test.price
		r = client.do("GET", "/none", "X-API-Key", "alice") // is free, with an estimate of 2
		if got := string(r.Header.Peek("X-Rate-Limit-Remaining")); got != strconv.Itoa(left-2) {
			t.Errorf("%s: %s remain with an estimate of 2, want %d", test.path, got, left-2)
		}
	}
	f.want(t, middleware.FaultNegativePrice, middleware.FaultSettleByPanic)
}

// TestStream: a stream holds the place of its request until it has been written, and settles.
func TestStream(t *testing.T) {
	c := fiberlimit.Config{Key: fiberlimit.Header("X-API-Key"), Reserve: func(fiber.Ctx) int { return 10 }}
	limiter := newLimiter(t, middleware.Must(ratelimit.NewPolicy(ratelimit.AtOnce(1), ratelimit.PerHour(100))))
	limit, err := fiberlimit.New(limiter, c)
	if err != nil {
		t.Fatal(err)
	}
	proceed, begun := make(chan struct{}), make(chan struct{}, 2)
	app := fiber.New()
	app.Get("/stream", limit, func(c fiber.Ctx) error {
		ctx := c.Context()
		return c.SendStreamWriter(func(w *bufio.Writer) {
			begun <- struct{}{}
			<-proceed
			if !middleware.Settle(ctx, 3) {
				t.Error("Settle returns false")
			}
			_, _ = w.WriteString("data")
		})
	})
	app.Get("/", limit, hello)
	url := listen(t, app)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a := fetch(t, "GET", url+"/stream", "alice"); a.status != http.StatusOK || a.body != "data" {
			t.Errorf("%v", a)
		}
	}()
	<-begun
	if a := fetch(t, "GET", url, "alice"); a.status != http.StatusTooManyRequests {
		t.Errorf("beside the stream: %v", a)
	}
	close(proceed)
	<-done
	for range 1000 {
		r, err := limiter.Peek(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		if r.State(0).Held == 0 && r.State(1).Held == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if r, err := limiter.Peek(t.Context(), "alice"); err != nil || r.State(0).Held+r.State(1).Held > 0 || min(r.State(0).Remaining, r.State(1).Remaining) != 1 || max(r.State(0).Remaining, r.State(1).Remaining) != 97 {
		t.Errorf("%v, %v", r, err)
	}
}

// TestHead: the response to HEAD has the headers of that to GET, and no body.
func TestHead(t *testing.T) {
	app := fiber.New()
	app.Use(handler(t, ratelimit.PerHour(1), fiberlimit.Config{DisableQueue: true}))
	app.Get("/", hello)
	url := listen(t, app)
	fetch(t, "GET", url, "")
	get, head := fetch(t, "GET", url, ""), fetch(t, "HEAD", url, "")
	if get.status != http.StatusTooManyRequests || head.status != get.status || head.body != "" || head.length != int64(len(get.body)) {
		t.Errorf("%v, %v", head, get)
	}
	for name := range get.header {
		if head.header.Get(name) == "" {
			t.Errorf("HEAD lacks %s", name)
		}
	}
}
