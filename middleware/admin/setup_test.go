package admin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

const secret = "Bearer operator"

func operator(r *http.Request) bool { return r.Header.Get("Authorization") == secret }

const tableText = `{
  "default": "5/s",
  "plans": {
    "gold": ["50/s","100000/d;name=daily"],
    "staff": "unlimited"
  },
  "members": {
    "customer-17": "gold",
    "monitoring": "staff"
  },
  "keys": {
    "customer-19": "7/s"
  }
}`

func newTable(t testing.TB, text string) *plans.Table {
	t.Helper()
	c, err := plans.ReadTableConfig(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func newLimiter(t testing.TB, backend store.Store, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(backend, limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// A desk is a handler with what is behind it.
type desk struct {
	http.Handler
	table   *plans.Table
	limiter *ratelimit.Limiter

	mu     sync.Mutex
	events []admin.Event
}

// newDesk opens one for operators that send the secret, on a table and a store in memory.
func newDesk(t testing.TB) *desk {
	t.Helper()
	table := newTable(t, tableText)
	limiter := newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
	return newDeskOn(t, limiter, admin.Config{Table: table})
}

func newDeskOn(t testing.TB, limiter *ratelimit.Limiter, c admin.Config) *desk {
	t.Helper()
	d := &desk{table: c.Table, limiter: limiter}
	c.Observe = func(_ *http.Request, e admin.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events = append(d.events, e)
	}
	var err error
	if d.Handler, err = admin.New(limiter, operator, c); err != nil {
		t.Fatal(err)
	}
	return d
}

// last returns the last event.
func (d *desk) last() admin.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.events) == 0 {
		return admin.Event{}
	}
	return d.events[len(d.events)-1]
}

// ask sends a request of the operator's, with the headers that it needs and others,
// "Name: value", where an empty value takes one away.
func (d *desk) ask(t testing.TB, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return d.askReader(t, method, path, strings.NewReader(body), headers...)
}

func (d *desk) askReader(t testing.TB, method, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, body)
	r.Header.Set("Authorization", secret)
	if method == http.MethodPost || method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// wantProblem checks an answer that is an error.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	h := w.Header()
	if w.Code != status || h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Body.String(), text) {
		t.Errorf("status %d, %v: %s; want %d and %q", w.Code, h, w.Body, status, text)
	}
}

// down is a store that has failed.
type down struct{ panics bool }

var errDown = errors.New("down")

func (d down) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, d.fail()
}
func (d down) Reset(context.Context, store.Request) error { return d.fail() }

func (d down) fail() error {
	if d.panics {
		panic("down")
	}
	return &store.Error{Class: "away", Err: errDown}
}

// unguarded says that it never waits, so that the limiter calls it as it is.
type unguarded struct{ down }

func (unguarded) SelfTimed() {}
