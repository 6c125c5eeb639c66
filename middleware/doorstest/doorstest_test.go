package doorstest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
)

// open opens a door that is right, with the handler that change makes of its own.
func open(change func(s Setup, door http.Handler, handler http.HandlerFunc) http.Handler) Door {
	return Door{Pattern: "GET /export/:id", Open: func(t *testing.T, s Setup) func(context.Context, Call) Answer {
		door, err := middleware.NewDoor(s.Limiter, s.Config(), s.Routes...)
		if err != nil {
			t.Fatal(err)
		}
		handler := func(w http.ResponseWriter, r *http.Request) {
			s.Handle(r.Context(), r.Header.Get(ActionHeader))
			w.Header().Set("Content-Type", ContentType)
			_, _ = w.Write([]byte(Body))
		}
		return Serve(change(s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pattern := ""
			if strings.HasPrefix(r.URL.Path, "/export/") {
				pattern = "GET /export/:id"
			}
			door.Serve(w, r, pattern, http.HandlerFunc(handler))
		}), handler))
	}}
}

func right(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler { return door }

// TestRightDoor: a door that is right passes, in a bubble, in real time and in brief.
func TestRightDoor(t *testing.T) {
	t.Run("Bubble", func(t *testing.T) { Run(t, open(right)) })
	t.Run("RealTime", func(t *testing.T) {
		d := open(right)
		d.RealTime = true
		Run(t, d)
	})
	t.Run("Brief", func(t *testing.T) {
		d := open(right)
		d.Brief = true
		inner := d.Open
		d.Open = func(t *testing.T, s Setup) func(context.Context, Call) Answer {
			send := inner(t, s)
			return func(ctx context.Context, c Call) Answer { return d.brief(send(ctx, c)) }
		}
		Run(t, d)
	})
}

// TestWrongDoors: each mistake that a door may make is found, by at least one part.
func TestWrongDoors(t *testing.T) {
	for name, change := range map[string]func(s Setup, door http.Handler, handler http.HandlerFunc) http.Handler{
		"a denied request reaches the handler": func(_ Setup, door http.Handler, handler http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				door.ServeHTTP(w, r)
				if w, ok := w.(*httptest.ResponseRecorder); ok && w.Code != http.StatusOK {
					handler(httptest.NewRecorder(), r)
				}
			})
		},
		"the handler runs twice": func(_ Setup, door http.Handler, handler http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				door.ServeHTTP(w, r)
				if w, ok := w.(*httptest.ResponseRecorder); ok && w.Code == http.StatusOK {
					handler(w, r)
				}
			})
		},
		"nothing is limited": func(_ Setup, _ http.Handler, handler http.HandlerFunc) http.Handler { return handler },
		"the route is lost": func(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = "/"
				door.ServeHTTP(w, r)
			})
		},
		"a key is lost": func(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header[http.CanonicalHeaderKey(KeyHeader)] = r.Header[http.CanonicalHeaderKey(KeyHeader)][:1]
				door.ServeHTTP(w, r)
			})
		},
		"preflights are charged": func(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Origin")
				door.ServeHTTP(w, r)
			})
		},
		"a header is missing": func(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				door.ServeHTTP(w, r)
				if w, ok := w.(*httptest.ResponseRecorder); ok {
					w.Result().Header.Del("X-Content-Type-Options")
				}
			})
		},
		"the body has more": func(_ Setup, door http.Handler, _ http.HandlerFunc) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				door.ServeHTTP(w, r)
				_, _ = w.Write([]byte("\n"))
			})
		},
		"the context is another one": func(s Setup, _ http.Handler, handler http.HandlerFunc) http.Handler {
			limit := middleware.Must(middleware.RateLimit(s.Limiter, s.Config()))
			return limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler(w, r.WithContext(context.Background())) //nolint:usetesting // the mistake
			}))
		},
		"the place stays taken": func(s Setup, _ http.Handler, handler http.HandlerFunc) http.Handler {
			limit := middleware.Must(middleware.RateLimit(s.Limiter, s.Config()))
			return limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				middleware.Keep(r.Context())
				handler(w, r)
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, found := open(change), 0
			for _, p := range parts {
				if name == "the place stays taken" && (p.name == "Panic" || p.name == "PanicReserved" || p.name == "ClientAbort") {
					continue // they wait for what is held to end
				}
				found += len(p.faults(t, d))
			}
			if found == 0 {
				t.Error("it is not found")
			}
		})
	}
}

// TestSame: in real time only times may differ.
func TestSame(t *testing.T) {
	d := Door{RealTime: true}
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{`"default";r=0;t=1200`, `"default";r=0;t=1199`, true},
		{`"default";r=0;t=1200`, `"default";r=0;t=1100`, false},
		{`"default";r=0;t=1200`, `"default";r=1;t=1200`, false},
		{`"default";r=0;t=1200`, `"daily";r=0;t=1200`, false},
		{`exceeded; retry after 20m.","retry_after_ms":1200000`, `exceeded; retry after 19m59s.","retry_after_ms":1199990`, true},
		{`exceeded; retry after 20m.","retry_after_ms":1200000`, `exceeded; retry after 19m59s.","retry_after_ms":1000000`, false},
	} {
		if d.same(test.a, test.b) != test.same {
			t.Errorf("%q and %q: want %v", test.a, test.b, test.same)
		}
	}
}
