package seen

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A running is a program that has been started, in the bubble of one fact.
type running struct {
	t       *testing.T
	handler http.Handler
	redis   *backend // nil if the program keeps its limits in memory
	failed  error    // why it did not start
}

// start starts a program, on a Redis of its own if it keeps its limits there.
func (p Program) start(t *testing.T, onRedis bool) *running {
	t.Helper()
	if !onRedis && p.New != nil {
		handler, err := p.New()
		if err != nil {
			t.Fatal(err)
		}
		return &running{t: t, handler: handler}
	}
	s := &running{t: t, redis: newBackend(t)}
	s.restart(p)
	if s.failed != nil {
		t.Fatal(s.failed)
	}
	s.redis.again = func() error {
		s.restart(p)
		return s.failed
	}
	return s
}

// restart starts the program anew, on the same Redis.
func (s *running) restart(p Program) {
	s.t.Helper()
	var end func() error
	s.handler, end, s.failed = p.NewOnRedis(&redis.Options{
		Addr:   "127.0.0.1:6379", // never dialled; a name would be looked up, outside the bubble
		Dialer: s.redis.dial,
	})
	if end == nil {
		return
	}
	s.t.Cleanup(func() {
		if err := end(); err != nil {
			s.t.Error(err)
		}
		// go-redis has a goroutine that tries a server in vain, and looks once a second
		// whether it is still wanted.
		time.Sleep(2 * time.Second)
	})
}

// A call is a request. Its zero value is a GET of / without a key, from 192.0.2.1.
type call struct {
	method string
	path   string
	key    string
	from   string // address and port
	header http.Header
}

// An answer is what a client gets.
type answer struct {
	status int // 0 if the connection was cut
	header http.Header
	body   string
}

// do makes a call. A handler that panics cuts the connection: net/http sees to that.
func (s *running) do(c call) (a answer) {
	r := httptest.NewRequestWithContext(s.t.Context(), or(c.method, http.MethodGet), or(c.path, "/"), nil)
	r.RemoteAddr = or(c.from, "192.0.2.1:1234")
	if c.key != "" {
		r.Header.Set("X-Api-Key", c.key)
	}
	maps.Copy(r.Header, c.header)
	defer func() {
		if recover() != nil {
			a = answer{}
		}
	}()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Result().Header, body: strings.TrimSuffix(w.Body.String(), "\n")}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
