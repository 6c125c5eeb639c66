package middleware_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/doorstest"
)

// behindDoor returns the handlers of a setup behind the middleware.
func behindDoor(t *testing.T, s doorstest.Setup) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /{$}", "GET /export/{id...}"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.Handle(r.Context(), r.Header.Get(doorstest.ActionHeader))
			w.Header().Set("Content-Type", doorstest.ContentType)
			_, _ = io.WriteString(w, doorstest.Body)
		})
	}
	if len(s.Routes) == 0 {
		return middleware.Must(middleware.RateLimit(s.Limiter, s.Config()))(mux)
	}
	return middleware.Must(middleware.Routes(s.Limiter, mux, s.Config(), s.Routes...))
}

// TestDoorstest: net/http is the first door.
func TestDoorstest(t *testing.T) {
	doorstest.Run(t, doorstest.Door{
		Pattern: "GET /export/{id...}",
		Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
			return doorstest.Serve(behindDoor(t, s))
		},
	})
}

// TestServerDoorstest: a server and a client over a connection change nothing.
func TestServerDoorstest(t *testing.T) {
	doorstest.Run(t, doorstest.Door{
		Pattern:  "GET /export/{id...}",
		Owned:    []string{"Date", "Content-Length"},
		RealTime: true,
		Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
			server := httptest.NewUnstartedServer(behindDoor(t, s))
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handlers that panic
			server.Start()
			t.Cleanup(server.Close)
			return func(ctx context.Context, c doorstest.Call) (a doorstest.Answer) {
				r := doorstest.Request(ctx, c)
				r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", server.Listener.Addr().String()
				response, err := server.Client().Do(r)
				if err != nil {
					return a
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				if err != nil {
					return a
				}
				return doorstest.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
			}
		},
	})
}
