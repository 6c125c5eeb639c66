package ginlimit_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/doorstest"
	"github.com/keyrate/keyrate/middleware/ginlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultErrorWriter = io.Discard // of handlers that panic
	m.Run()
}

// TestDoorstest: gin answers as package middleware does.
func TestDoorstest(t *testing.T) {
	doorstest.Run(t, doorstest.Door{
		Pattern: "GET /export/:id",
		Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
			engine := gin.New()
			engine.Use(gin.Recovery(), middleware.Must(ginlimit.New(s.Limiter, s.Config(), s.Routes...)))
			handler := func(c *gin.Context) {
				s.Handle(c.Request.Context(), c.GetHeader(doorstest.ActionHeader))
				c.String(http.StatusOK, doorstest.Body)
			}
			engine.GET("/", handler)
			engine.GET("/export/:id", handler)
			if err := ginlimit.CheckRoutes(engine, s.Routes...); err != nil {
				t.Error(err)
			}
			return doorstest.Serve(engine)
		},
	})
}

func newLimiter(t testing.TB, limits ratelimit.Limits) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func quiet(c middleware.Config) middleware.Config {
	c.Logger = slog.New(slog.DiscardHandler)
	return c
}

func limited(t testing.TB, limit ratelimit.Limits, c middleware.Config, routes ...middleware.Route) gin.HandlerFunc {
	t.Helper()
	return middleware.Must(ginlimit.New(newLimiter(t, limit), quiet(c), routes...))
}

// get sends a request to h.
func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, remaining string) {
	t.Helper()
	if got := w.Header().Get(middleware.HeaderRemaining); w.Code != status || got != remaining {
		t.Errorf("%d, %q remaining; want %d, %q", w.Code, got, status, remaining)
	}
}

// TestDeniedAborts: no handler after the middleware runs, even if one before it calls Next twice.
func TestDeniedAborts(t *testing.T) {
	engine, ran := gin.New(), 0
	engine.Use(func(c *gin.Context) {
		c.Next()
		c.Next()
	}, limited(t, ratelimit.PerHour(1), middleware.Config{}), func(*gin.Context) { ran++ })
	engine.GET("/", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	want(t, get(t, engine, http.MethodGet, "/"), http.StatusNoContent, "0")
	w := get(t, engine, http.MethodGet, "/")
	want(t, w, http.StatusTooManyRequests, "0")
	if ran != 1 || !strings.HasPrefix(w.Body.String(), `{"type":`) || strings.Count(w.Body.String(), "\n") != 1 {
		t.Errorf("ran %d times; %s", ran, w.Body)
	}
}

// TestNoRoute: what no route matches is limited by the key's own limits.
func TestNoRoute(t *testing.T) {
	engine := gin.New()
	engine.Use(limited(t, ratelimit.PerHour(2), middleware.Config{}, middleware.Route{Pattern: "/a/:id", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}))
	engine.GET("/a/:id", func(c *gin.Context) { c.Status(http.StatusOK) })
	want(t, get(t, engine, http.MethodGet, "/a/1"), http.StatusOK, "0")
	want(t, get(t, engine, http.MethodGet, "/a/2"), http.StatusTooManyRequests, "0")
	want(t, get(t, engine, http.MethodGet, "/b"), http.StatusNotFound, "0")
	want(t, get(t, engine, http.MethodGet, "/b"), http.StatusTooManyRequests, "0")
}

// TestHead: HEAD has the limits of GET.
func TestHead(t *testing.T) {
	engine := gin.New()
	engine.Use(limited(t, ratelimit.PerHour(9), middleware.Config{}, middleware.Route{Pattern: "GET /a", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}))
	engine.GET("/a", func(c *gin.Context) { c.Status(http.StatusOK) })
	engine.HEAD("/a", func(c *gin.Context) { c.Status(http.StatusOK) })
	want(t, get(t, engine, http.MethodHead, "/a"), http.StatusOK, "0")
	w := get(t, engine, http.MethodHead, "/a")
	want(t, w, http.StatusTooManyRequests, "0")
	if w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("%v, %q", w.Header(), w.Body)
	}
}

// TestNestedGroups: two middlewares apply both; one that is there twice charges twice, and says so.
func TestNestedGroups(t *testing.T) {
	var faults []string
	config := middleware.Config{OnFault: func(_ context.Context, class string) { faults = append(faults, class) }}
	limit := limited(t, ratelimit.PerHour(10), config)
	engine := gin.New()
	engine.Use(limit)
	engine.GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
	other := engine.Group("/other", limited(t, ratelimit.PerHour(5), config))
	other.GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
	want(t, get(t, engine, http.MethodGet, "/other/"), http.StatusOK, "4")
	want(t, get(t, engine, http.MethodGet, "/"), http.StatusOK, "8")
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	engine.Group("/twice", limit).GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
	want(t, get(t, engine, http.MethodGet, "/twice/"), http.StatusOK, "6")
	want(t, get(t, engine, http.MethodGet, "/twice/"), http.StatusOK, "4")
	if len(faults) != 1 || faults[0] != middleware.FaultChargedTwice {
		t.Errorf("faults: %q", faults)
	}
}

// TestSettleBy: the status is the final one, however a handler sets it.
func TestSettleBy(t *testing.T) {
	var settled []int
	config := middleware.Config{
		Reserve: func(*http.Request) int { return 1 },
		SettleBy: func(status int, h http.Header) int {
			settled = append(settled, status)
			h.Set("Settled", fmt.Sprint(status))
			return 0
		},
		ResultInContext: true,
	}
	for name, test := range map[string]struct {
		handler gin.HandlerFunc
		want    int
	}{
		"nothing":        {func(*gin.Context) {}, http.StatusOK},
		"soft":           {func(c *gin.Context) { c.Status(http.StatusAccepted) }, http.StatusAccepted},
		"changed":        {func(c *gin.Context) { c.Status(http.StatusBadGateway); c.String(http.StatusCreated, "x") }, http.StatusCreated},
		"body":           {func(c *gin.Context) { _, _ = c.Writer.WriteString("x") }, http.StatusOK},
		"bytes":          {func(c *gin.Context) { c.Status(http.StatusTeapot); _, _ = c.Writer.Write([]byte("x")) }, http.StatusTeapot},
		"aborted":        {func(c *gin.Context) { c.AbortWithStatus(http.StatusForbidden) }, http.StatusForbidden},
		"flushed":        {func(c *gin.Context) { c.Status(http.StatusAccepted); c.Writer.Flush() }, http.StatusAccepted},
		"panic":          {func(*gin.Context) { panic("x") }, http.StatusInternalServerError},
		"no room for it": {func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusConflict, gin.H{"a": 1}) }, http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			settled = nil
			engine := gin.New()
			engine.Use(gin.Recovery(), func(c *gin.Context) {
				before := c.Writer
				defer func() {
					if c.Writer != before {
						t.Errorf("the ResponseWriter is a %T afterwards", c.Writer)
					}
				}()
				c.Next()
			}, limited(t, ratelimit.PerHour(1), config))
			engine.GET("/", test.handler)
			w := get(t, engine, http.MethodGet, "/")
			if w.Code != test.want || len(settled) != 1 || settled[0] != test.want {
				t.Errorf("the status is %d, settled by %v; want %d", w.Code, settled, test.want)
			}
			if w.Header().Get("Settled") != fmt.Sprint(test.want) {
				t.Errorf("SettleBy cannot change the headers: %v", w.Header())
			}
		})
	}
	settled = nil
	engine := gin.New()
	engine.Use(limited(t, ratelimit.PerHour(1), config))
	want(t, get(t, engine, http.MethodGet, "/none"), http.StatusNotFound, "0")
	if len(settled) != 1 || settled[0] != http.StatusNotFound {
		t.Errorf("settled by %v, want 404", settled)
	}
}

// TestContext: a handler finds the decision, and may settle.
func TestContext(t *testing.T) {
	engine := gin.New()
	engine.Use(limited(t, ratelimit.PerHour(5), middleware.Config{Reserve: func(*http.Request) int { return 3 }, ResultInContext: true}))
	engine.GET("/", func(c *gin.Context) {
		if r, ok := middleware.ResultFrom(c.Request.Context()); !ok || r.Remaining() != 2 {
			t.Errorf("%v, %v", r, ok)
		}
		if !middleware.Settle(c.Request.Context(), 0) {
			t.Error("nothing to settle")
		}
	})
	want(t, get(t, engine, http.MethodGet, "/"), http.StatusOK, "2")
	want(t, get(t, engine, http.MethodGet, "/"), http.StatusOK, "2")
}

// TestStream: over a connection, with and without SettleBy, events arrive while the handler runs,
// and a connection can be taken over.
func TestStream(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"plain":    {},
		"SettleBy": {Reserve: func(*http.Request) int { return 1 }, SettleBy: func(int, http.Header) int { return 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			engine, seen := gin.New(), make(chan bool)
			engine.Use(limited(t, ratelimit.PerHour(9), config))
			engine.GET("/events", func(c *gin.Context) {
				for i := range 2 {
					c.Stream(func(io.Writer) bool {
						c.SSEvent("tick", i)
						return false
					})
					<-seen
				}
			})
			engine.GET("/socket", func(c *gin.Context) {
				conn, rw, err := c.Writer.Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				_ = rw.Flush()
				line, _ := rw.ReadString('\n')
				_, _ = rw.WriteString(line)
				_ = rw.Flush()
			})
			server := httptest.NewServer(engine)
			defer server.Close()
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			lines := bufio.NewReader(response.Body)
			for i := range 2 {
				for _, want := range []string{"event:tick", fmt.Sprintf("data:%d", i), ""} {
					if line, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(line) != want {
						t.Fatalf("%q, %v; want %q", line, err, want)
					}
				}
				seen <- true
			}
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
			all, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 101 ") || !strings.HasSuffix(string(all), "\r\n\r\nhello\n") {
				t.Errorf("%q, %v", all, err)
			}
		})
	}
}

// TestFaults: New and CheckRoutes name what is wrong.
func TestFaults(t *testing.T) {
	if _, err := ginlimit.New(nil, middleware.Config{}); err == nil {
		t.Error("a nil limiter is not an error")
	}
	engine := gin.New()
	engine.Group("/v1").GET("/export/:id", func(*gin.Context) {})
	right := []middleware.Route{{Pattern: "GET /v1/export/:id"}, {Pattern: "/v1/export/:id"}}
	if err := ginlimit.CheckRoutes(engine, right...); err != nil {
		t.Error(err)
	}
	err := ginlimit.CheckRoutes(engine, middleware.Route{Pattern: "GET /export/:id"}, middleware.Route{Pattern: "POST /v1/export/:id"}, right[0])
	if err == nil || !strings.Contains(err.Error(), `routes[0] "GET /export/:id"`) || !strings.Contains(err.Error(), `routes[1] "POST`) || strings.Contains(err.Error(), "routes[2]") {
		t.Error(err)
	}
}

// BenchmarkServe compares a bare handler with one behind the limit.
func BenchmarkServe(b *testing.B) {
	for _, name := range []string{"bare", "limited", "routes"} {
		b.Run(name, func(b *testing.B) {
			engine := gin.New()
			c := middleware.Config{Key: middleware.Header("X-API-Key")}
			switch name {
			case "limited":
				engine.Use(limited(b, ratelimit.PerSecond(1e9), c))
			case "routes":
				engine.Use(limited(b, ratelimit.PerSecond(1e9), c, middleware.Route{Pattern: "GET /", Cost: 2}))
			}
			engine.GET("/", func(c *gin.Context) { c.Status(http.StatusNoContent) })
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set("X-API-Key", "alice")
			w := &blank{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				engine.ServeHTTP(w, r)
			}
		})
	}
}

type blank struct{ h http.Header }

func (b *blank) Header() http.Header         { return b.h }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}
