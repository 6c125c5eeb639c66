package routers_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/doorstest"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

type middlewareFunc = func(http.Handler) http.Handler

// handler is that of both routes.
func handler(s doorstest.Setup) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Handle(r.Context(), r.Header.Get(doorstest.ActionHeader))
		w.Header().Set("Content-Type", doorstest.ContentType)
		_, _ = io.WriteString(w, doorstest.Body)
	}
}

// limits returns the middleware for most routes and the one for the route of s.
func limits(t *testing.T, s doorstest.Setup) (most, route middlewareFunc) {
	t.Helper()
	most = middleware.Must(middleware.RateLimit(s.Limiter, s.Config()))
	if len(s.Routes) == 0 {
		return most, most
	}
	limiter, err := s.Routes[0].Limiter(s.Limiter)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Config()
	if cost := s.Routes[0].Cost; cost > 0 {
		c.Cost = func(*http.Request) int { return cost }
	}
	return most, middleware.Must(middleware.RateLimit(limiter, c))
}

// TestDoorstest: each router answers as a ServeMux does.
func TestDoorstest(t *testing.T) {
	for _, test := range []struct {
		name, pattern string
		open          func(t *testing.T, s doorstest.Setup) http.Handler
	}{
		{"ChiGroups", "GET /export/{id}", chiGroups},
		{"ChiDoor", "GET /export/{id}", chiDoor},
		{"GorillaSubrouters", "GET /export/{id:[0-9]+}", gorillaSubrouters},
		{"GorillaDoor", "GET /export/{id:[0-9]+}", gorillaDoor},
		{"Huma", "GET /export/{id}", humaRoutes},
		{"ServeMux", "GET /export/{id...}", serveMux},
	} {
		t.Run(test.name, func(t *testing.T) {
			doorstest.Run(t, doorstest.Door{Pattern: test.pattern, Open: func(t *testing.T, s doorstest.Setup) func(context.Context, doorstest.Call) doorstest.Answer {
				return doorstest.Serve(test.open(t, s))
			}})
		})
	}
}

// chiGroups has a group for each set of limits.
func chiGroups(t *testing.T, s doorstest.Setup) http.Handler {
	limit, limitExport := limits(t, s)
	r := chi.NewRouter()
	r.With(limit).Get("/", handler(s))
	r.With(limitExport).Get("/export/{id}", handler(s))
	r.NotFound(limit(http.NotFoundHandler()).ServeHTTP)
	return r
}

// chiDoor has one middleware, which asks the router for the pattern before it routes.
func chiDoor(_ *testing.T, s doorstest.Setup) http.Handler {
	door := middleware.Must(middleware.NewDoor(s.Limiter, s.Config(), s.Routes...))
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			path := request.URL.Path
			if request.URL.RawPath != "" {
				path = request.URL.RawPath // as chi routes: "/export/a%2Fb" has one segment for {id}
			}
			pattern := r.Find(chi.NewRouteContext(), request.Method, path)
			door.Serve(w, request, request.Method+" "+pattern, next)
		})
	})
	r.Get("/", handler(s))
	r.Get("/export/{id}", handler(s))
	return r
}

// gorillaSubrouters has a subrouter for each set of limits.
func gorillaSubrouters(t *testing.T, s doorstest.Setup) http.Handler {
	limit, limitExport := limits(t, s)
	router := mux.NewRouter()
	export := router.PathPrefix("/export/").Subrouter()
	export.Use(mux.MiddlewareFunc(limitExport))
	export.Methods(http.MethodGet).Path("/{id:[0-9]+}").Handler(handler(s))
	most := router.NewRoute().Subrouter()
	most.Use(mux.MiddlewareFunc(limit))
	most.Methods(http.MethodGet).Path("/").Handler(handler(s))
	router.NotFoundHandler = limit(http.NotFoundHandler())
	return router
}

// gorillaDoor has one middleware, which runs when the router has found a route.
func gorillaDoor(_ *testing.T, s doorstest.Setup) http.Handler {
	door := middleware.Must(middleware.NewDoor(s.Limiter, s.Config(), s.Routes...))
	router := mux.NewRouter()
	limit := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pattern := ""
			if route := mux.CurrentRoute(r); route != nil {
				path, _ := route.GetPathTemplate()
				pattern = r.Method + " " + path
			}
			door.Serve(w, r, pattern, next)
		})
	}
	router.Use(limit)
	router.Methods(http.MethodGet).Path("/").Handler(handler(s))
	router.Methods(http.MethodGet).Path("/export/{id:[0-9]+}").Handler(handler(s))
	router.NotFoundHandler = limit(http.NotFoundHandler())
	return router
}

// humaRoutes has the operations of huma on a ServeMux.
func humaRoutes(t *testing.T, s doorstest.Setup) http.Handler {
	type input struct {
		Action string `header:"X-Action"`
	}
	type output struct {
		ContentType string `header:"Content-Type"`
		Body        []byte
	}
	serve := func(ctx context.Context, in *input) (*output, error) {
		s.Handle(ctx, in.Action)
		return &output{doorstest.ContentType, []byte(doorstest.Body)}, nil
	}
	on := http.NewServeMux()
	api := humago.New(on, huma.DefaultConfig("Exports", "1.0.0"))
	huma.Register(api, huma.Operation{Method: http.MethodGet, Path: "/{$}"}, serve)
	huma.Register(api, huma.Operation{Method: http.MethodGet, Path: "/export/{id}"}, serve)
	h, err := middleware.Routes(s.Limiter, on, s.Config(), s.Routes...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// serveMux finds the pattern itself.
func serveMux(t *testing.T, s doorstest.Setup) http.Handler {
	on := http.NewServeMux()
	on.Handle("GET /{$}", handler(s))
	on.Handle("GET /export/{id...}", handler(s))
	h, err := middleware.Routes(s.Limiter, on, s.Config(), s.Routes...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSpellings: another spelling of a path does not avoid the limits of its route.
func TestSpellings(t *testing.T) {
	for name, open := range map[string]func(*testing.T, doorstest.Setup) http.Handler{"ChiGroups": chiGroups, "ChiDoor": chiDoor} {
		t.Run(name, func(t *testing.T) {
			limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(9), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			h := open(t, doorstest.Setup{
				Limiter: limiter, Handle: func(context.Context, string) {},
				Routes: []middleware.Route{{Pattern: "GET /export/{id}", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}},
			})
			want := http.StatusOK
			for _, path := range []string{"/export/7", "/export/8", "/export/a%2Fb", "/export/%38"} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				if w.Code != want {
					t.Errorf("%s: %d, want %d", path, w.Code, want)
				}
				want = http.StatusTooManyRequests
			}
		})
	}
}

// TestNotFound: paths without a route are limited, too, by each of these.
func TestNotFound(t *testing.T) {
	for name, open := range map[string]func(*testing.T, doorstest.Setup) http.Handler{
		"ChiGroups": chiGroups, "ChiDoor": chiDoor, "GorillaSubrouters": gorillaSubrouters, "GorillaDoor": gorillaDoor, "Huma": humaRoutes, "ServeMux": serveMux,
	} {
		t.Run(name, func(t *testing.T) {
			limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			h := open(t, doorstest.Setup{Limiter: limiter})
			for _, want := range []int{http.StatusNotFound, http.StatusTooManyRequests} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/none/of/these", nil))
				if w.Code != want {
					t.Errorf("%d, want %d", w.Code, want)
				}
			}
		})
	}
}
