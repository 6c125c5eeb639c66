package echov4limit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/doorstest"
	"github.com/keyrate/keyrate/middleware/echov4limit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newEcho returns an Echo without a log.
func newEcho() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	return e
}

// TestDoorstest: echo answers as package middleware does.
func TestDoorstest(t *testing.T) {
	doorstest.Run(t, doorstest.Door{
		Pattern: "GET /export/:id",
		Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
			e := newEcho()
			e.Use(echomiddleware.Recover(), middleware.Must(echov4limit.New(s.Limiter, s.Config(), s.Routes...)))
			handler := func(c echo.Context) error {
				s.Handle(c.Request().Context(), c.Request().Header.Get(doorstest.ActionHeader))
				return c.Blob(http.StatusOK, doorstest.ContentType, []byte(doorstest.Body))
			}
			e.GET("/", handler)
			e.GET("/export/:id", handler)
			if err := echov4limit.CheckRoutes(e, s.Routes...); err != nil {
				t.Error(err)
			}
			return doorstest.Serve(e)
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

func limited(t testing.TB, limit ratelimit.Limits, c middleware.Config, routes ...middleware.Route) echo.MiddlewareFunc {
	t.Helper()
	c.Logger = slog.New(slog.DiscardHandler)
	return middleware.Must(echov4limit.New(newLimiter(t, limit), c, routes...))
}

// ok is a handler that does nothing else.
func ok(c echo.Context) error { return c.NoContent(http.StatusOK) }

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

// TestDenied: no handler after the middleware runs, even if one before it calls it twice.
func TestDenied(t *testing.T) {
	e, ran := newEcho(), 0
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error { return errors.Join(next(c), next(c)) }
	}, limited(t, ratelimit.PerHour(1), middleware.Config{}))
	e.GET("/", func(echo.Context) error { ran++; return nil })
	get(t, e, http.MethodGet, "/") // its second call is denied already
	w := get(t, e, http.MethodGet, "/")
	want(t, w, http.StatusTooManyRequests, "0")
	if ran != 1 {
		t.Errorf("ran %d times, want 1", ran)
	}
}

// TestNoRoute: what no route matches is limited by the key's own limits.
func TestNoRoute(t *testing.T) {
	e := newEcho()
	e.Use(limited(t, ratelimit.PerHour(3), middleware.Config{}, middleware.Route{Pattern: "GET /a/:id", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}))
	e.GET("/a/:id", ok)
	want(t, get(t, e, http.MethodGet, "/a/1"), http.StatusOK, "0")
	want(t, get(t, e, http.MethodGet, "/a/2"), http.StatusTooManyRequests, "0")
	want(t, get(t, e, http.MethodGet, "/b"), http.StatusNotFound, "1")
	want(t, get(t, e, http.MethodDelete, "/a/1"), http.StatusMethodNotAllowed, "0")
	want(t, get(t, e, http.MethodGet, "/b"), http.StatusTooManyRequests, "0")
}

// TestMethods: HEAD has the limits of GET, and a path alone those of all methods.
func TestMethods(t *testing.T) {
	e := newEcho()
	e.Use(limited(t, ratelimit.PerHour(9), middleware.Config{},
		middleware.Route{Pattern: "GET /a", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}, middleware.Route{Pattern: "/b", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}))
	e.GET("/a", ok)
	e.HEAD("/a", ok)
	e.Any("/b", ok)
	want(t, get(t, e, http.MethodHead, "/a"), http.StatusOK, "0")
	w := get(t, e, http.MethodHead, "/a")
	want(t, w, http.StatusTooManyRequests, "0")
	if w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("%v, %q", w.Header(), w.Body)
	}
	want(t, get(t, e, http.MethodPut, "/b"), http.StatusOK, "0")
	want(t, get(t, e, http.MethodPost, "/b"), http.StatusTooManyRequests, "0")
}

// TestNestedGroups: two middlewares apply both; one that is there twice charges twice, and says so.
func TestNestedGroups(t *testing.T) {
	var faults []string
	config := middleware.Config{OnFault: func(_ context.Context, class string) { faults = append(faults, class) }}
	limit := limited(t, ratelimit.PerHour(10), config)
	e := newEcho()
	e.Use(limit)
	e.GET("/", ok)
	e.Group("/other", limited(t, ratelimit.PerHour(5), config)).GET("/", ok)
	want(t, get(t, e, http.MethodGet, "/other/"), http.StatusOK, "4")
	want(t, get(t, e, http.MethodGet, "/"), http.StatusOK, "8")
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	e.Group("/twice", limit).GET("/", ok)
	want(t, get(t, e, http.MethodGet, "/twice/"), http.StatusOK, "6")
	want(t, get(t, e, http.MethodGet, "/twice/"), http.StatusOK, "4")
	if len(faults) != 1 || faults[0] != middleware.FaultChargedTwice {
		t.Errorf("faults: %q", faults)
	}
}

// TestSettleBy: the status is that of the response, even if echo writes it for an error.
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
		handler echo.HandlerFunc
		want    int
	}{
		"nothing":     {func(echo.Context) error { return nil }, http.StatusOK},
		"JSON":        {func(c echo.Context) error { return c.JSON(http.StatusCreated, "x") }, http.StatusCreated},
		"no content":  {func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, http.StatusNoContent},
		"bytes":       {func(c echo.Context) error { _, err := c.Response().Write([]byte("x")); return err }, http.StatusOK},
		"error":       {func(echo.Context) error { return errors.New("x") }, http.StatusInternalServerError},
		"HTTP error":  {func(echo.Context) error { return echo.NewHTTPError(http.StatusForbidden, "x") }, http.StatusForbidden},
		"both":        {func(c echo.Context) error { _ = c.String(http.StatusAccepted, "x"); return errors.New("x") }, http.StatusAccepted},
		"panic":       {func(echo.Context) error { panic("x") }, http.StatusInternalServerError},
		"not encoded": {func(c echo.Context) error { return c.JSON(http.StatusCreated, func() {}) }, http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			settled = nil
			e := newEcho()
			var seen error
			e.Use(echomiddleware.Recover(), func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					before := c.Response()
					defer func() {
						if c.Response() != before {
							t.Errorf("the response is a %T afterwards", c.Response())
						}
					}()
					seen = next(c)
					return seen
				}
			}, limited(t, ratelimit.PerHour(1), config))
			e.GET("/", test.handler)
			w := get(t, e, http.MethodGet, "/")
			if w.Code != test.want || len(settled) != 1 || settled[0] != test.want {
				t.Errorf("the status is %d, settled by %v; want %d", w.Code, settled, test.want)
			}
			if w.Header().Get("Settled") != fmt.Sprint(test.want) {
				t.Errorf("SettleBy cannot change the headers: %v", w.Header())
			}
			if strings.Contains(name, "error") && seen == nil {
				t.Error("a middleware outside does not see the error")
			}
			if strings.Count(w.Body.String(), "\n") > 1 {
				t.Errorf("more than one response: %q", w.Body)
			}
		})
	}
	settled = nil
	e := newEcho()
	e.Use(limited(t, ratelimit.PerHour(1), config))
	want(t, get(t, e, http.MethodGet, "/none"), http.StatusNotFound, "0")
	if len(settled) != 1 || settled[0] != http.StatusNotFound {
		t.Errorf("settled by %v, want 404", settled)
	}
}

// TestError: without SettleBy the error of a handler is left to echo, and what the request held is
// free again.
func TestError(t *testing.T) {
	e := newEcho()
	e.Use(limited(t, middleware.Must(ratelimit.NewPolicy(ratelimit.AtOnce(1), ratelimit.PerHour(5))), middleware.Config{}))
	e.GET("/", func(echo.Context) error { return echo.NewHTTPError(http.StatusConflict, "x") })
	want(t, get(t, e, http.MethodGet, "/"), http.StatusConflict, "4")
	want(t, get(t, e, http.MethodGet, "/"), http.StatusConflict, "3")
}

// TestContext: a handler finds the decision, and may settle.
func TestContext(t *testing.T) {
	e := newEcho()
	e.Use(limited(t, ratelimit.PerHour(5), middleware.Config{Reserve: func(*http.Request) int { return 3 }, ResultInContext: true}))
	e.GET("/", func(c echo.Context) error {
		if r, ok := middleware.ResultFrom(c.Request().Context()); !ok || r.Remaining() != 2 {
			t.Errorf("%v, %v", r, ok)
		}
		if !middleware.Settle(c.Request().Context(), 0) {
			t.Error("nothing to settle")
		}
		return nil
	})
	want(t, get(t, e, http.MethodGet, "/"), http.StatusOK, "2")
	want(t, get(t, e, http.MethodGet, "/"), http.StatusOK, "2")
}

// TestStream: over a connection, with and without SettleBy, events arrive while the handler runs,
// and a connection can be taken over.
func TestStream(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"plain":    {},
		"SettleBy": {Reserve: func(*http.Request) int { return 1 }, SettleBy: func(int, http.Header) int { return 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			e, seen := newEcho(), make(chan bool)
			e.Use(limited(t, ratelimit.PerHour(9), config))
			e.GET("/events", func(c echo.Context) error {
				for i := range 2 {
					_, _ = fmt.Fprintf(c.Response(), "event:tick\ndata:%d\n\n", i)
					c.Response().Flush()
					<-seen
				}
				return nil
			})
			e.GET("/socket", func(c echo.Context) error {
				conn, rw, err := c.Response().Hijack()
				if err != nil {
					t.Error(err)
					return nil
				}
				defer conn.Close()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				_ = rw.Flush()
				line, _ := rw.ReadString('\n')
				_, _ = rw.WriteString(line)
				_ = rw.Flush()
				return nil
			})
			server := httptest.NewServer(e)
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
	if _, err := echov4limit.New(nil, middleware.Config{}); err == nil {
		t.Error("a nil limiter is not an error")
	}
	e := newEcho()
	e.Group("/v1").GET("/export/:id", ok)
	e.Any("/any", ok)
	right := []middleware.Route{{Pattern: "GET /v1/export/:id"}, {Pattern: "/v1/export/:id"}, {Pattern: "PUT /any"}}
	if err := echov4limit.CheckRoutes(e, right...); err != nil {
		t.Error(err)
	}
	err := echov4limit.CheckRoutes(e, middleware.Route{Pattern: "GET /export/:id"}, middleware.Route{Pattern: "POST /v1/export/:id"}, right[0])
	if err == nil || !strings.Contains(err.Error(), `routes[0] "GET /export/:id"`) || !strings.Contains(err.Error(), `routes[1] "POST`) || strings.Contains(err.Error(), "routes[2]") {
		t.Error(err)
	}
}

// BenchmarkServe compares a bare handler with one behind the limit.
func BenchmarkServe(b *testing.B) {
	for _, name := range []string{"bare", "limited", "routes"} {
		b.Run(name, func(b *testing.B) {
			e := newEcho()
			c := middleware.Config{Key: middleware.Header("X-API-Key")}
			switch name {
			case "limited":
				e.Use(limited(b, ratelimit.PerSecond(1e9), c))
			case "routes":
				e.Use(limited(b, ratelimit.PerSecond(1e9), c, middleware.Route{Pattern: "GET /", Cost: 2}))
			}
			e.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set("X-API-Key", "alice")
			w := &blank{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				e.ServeHTTP(w, r)
			}
		})
	}
}

type blank struct{ h http.Header }

func (b *blank) Header() http.Header         { return b.h }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}
