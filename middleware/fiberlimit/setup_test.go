package fiberlimit_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/keyrate/keyrate/middleware/fiberlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newLimiter returns a limiter on memory.
func newLimiter(t testing.TB, limits ratelimit.Limits) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// faults are the classes of faults that were reported.
type faults struct {
	mu      sync.Mutex
	classes []string
}

func (f *faults) config() fiberlimit.Config {
	return fiberlimit.Config{
		Key: fiberlimit.Header("X-API-Key"), Logger: slog.New(slog.DiscardHandler),
		OnFault: func(_ context.Context, class string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.classes = append(f.classes, class)
		},
	}
}

func (f *faults) want(t *testing.T, classes ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.classes, classes) {
		t.Errorf("faults %q, want %q", f.classes, classes)
	}
	f.classes = nil
}

// handler returns the middleware.
func handler(t testing.TB, limits ratelimit.Limits, c fiberlimit.Config) fiber.Handler {
	t.Helper()
	limit, err := fiberlimit.New(newLimiter(t, limits), c)
	if err != nil {
		t.Fatal(err)
	}
	return limit
}

// get sends a request from memory, on one RequestCtx that is used again as fasthttp does it.
type client struct {
	handler fasthttp.RequestHandler
	ctx     fasthttp.RequestCtx
}

func newClient(app *fiber.App) *client {
	c := &client{handler: app.Handler()}
	c.ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
	return c
}

// do sends a request with a method, a path, and headers as names and values.
func (c *client) do(method, path string, headers ...string) *fasthttp.Response {
	c.ctx.Request.Reset()
	c.ctx.Response.Reset()
	c.ctx.Request.Header.SetMethod(method)
	c.ctx.Request.SetRequestURI(path)
	for i := 0; i < len(headers); i += 2 {
		c.ctx.Request.Header.Add(headers[i], headers[i+1])
	}
	c.handler(&c.ctx)
	return &c.ctx.Response
}

// want sends a GET with a key, and wants a status.
func (c *client) want(t *testing.T, status int, path, key string) {
	t.Helper()
	if got := c.do("GET", path, "X-API-Key", key).StatusCode(); got != status {
		t.Errorf("GET %s with the key %q: %d, want %d", path, key, got, status)
	}
}

// listen serves an app, and returns its URL.
func listen(t *testing.T, app *fiber.App) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
	}()
	t.Cleanup(func() {
		_ = app.Shutdown()
		<-done
	})
	return "http://" + l.Addr().String()
}

// An answer is a response that came over the network.
type answer struct {
	status int
	header http.Header
	length int64
	body   string
}

// fetch sends a request over the network.
func fetch(t *testing.T, method, url, key string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.ContentLength, string(body)}
}

func hello(c fiber.Ctx) error { return c.SendString("hello") }
