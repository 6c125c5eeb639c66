// Package console_test uses the console of middleware/admin in a real browser.
package console_test

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

var update = flag.Bool("update", false, "write the screenshots of docs/console.md")

const (
	secret  = "sesame-sesame-sesame"
	patient = time.Minute // for a machine that is busy
)

// A program has an API, limits of its keys in a table, a store with a mirror, and a console.
type program struct {
	*httptest.Server
	down  atomic.Bool // what the mirror stands in front of
	store *mirror.Store
	table *plans.Table

	limiter *ratelimit.Limiter
	fleet   admin.Fleet // nil if the table is that of this program alone
}

// tableOf returns limits for the keys of the tests; fast is the plan of ada.
func tableOf(t *testing.T, fast ratelimit.Limit) plans.TableConfig {
	t.Helper()
	policy := func(limits ...ratelimit.Limit) *ratelimit.Policy {
		p, err := ratelimit.NewPolicy(limits...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return plans.TableConfig{
		Default: policy(ratelimit.PerSecond(5), ratelimit.PerMinute(60).Named("trial").Shadowed()),
		Plans:   map[string]*ratelimit.Policy{"daily": policy(ratelimit.PerDay(10)), "fast": policy(fast)},
		Members: map[string]string{"alice-s3cr3t": "daily", "ada-s3cr3t": "fast"},
	}
}

func start(t *testing.T) *program {
	t.Helper()
	p := new(program)
	shared := storetest.Faulty{Store: memstore.New(memstore.Config{}), When: p.down.Load, Err: errors.New("connection refused")}
	both, err := mirror.New(shared, mirror.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = both.Close() })
	table, err := plans.NewTable(tableOf(t, ratelimit.PerSecond(10).WithBurst(60)))
	if err != nil {
		t.Fatal(err)
	}
	p.store = both
	p.Server, p.table = httptest.NewServer(p.with(t, table)), table
	t.Cleanup(p.Close)
	return p
}

// with returns the handler of the program with a table.
func (p *program) with(t *testing.T, table *plans.Table) http.Handler {
	t.Helper()
	limiter, err := ratelimit.New(p.store, table, ratelimit.Config{Metrics: true, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p.limiter = limiter
	operator := func(r *http.Request) bool {
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1
	}
	desk, err := admin.New(limiter, operator, admin.Config{Table: table, Fleet: p.fleet})
	if err != nil {
		t.Fatal(err)
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/limits/", http.StripPrefix("/limits", desk))
	mux.Handle("/", limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello\n")) })))
	return mux
}

// console returns the address of the console, with the credentials of an operator: the browser
// keeps them when it has been asked for them.
func (p *program) console(t *testing.T) string {
	t.Helper()
	at, err := url.Parse(p.URL + "/limits/")
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("operator", secret)
	return at.String()
}

// call calls the API with a key, n times, and returns how often it was served.
func (p *program) call(t *testing.T, key string, n int) (served int) {
	t.Helper()
	for range n {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", key)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			served++
		}
	}
	return served
}

// eval returns what a script in the page returns.
func eval[T any](tab context.Context, t *testing.T, script string) T {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// await waits until a condition in the page holds.
func await(tab context.Context, t *testing.T, condition string) {
	t.Helper()
	for end := time.Now().Add(patient); !eval[bool](tab, t, "Boolean("+condition+")"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come: %s\n%s", condition, eval[string](tab, t, "document.body.innerText"))
		}
	}
}

// look types a key into the page and sends it with the Enter key.
func look(tab context.Context, t *testing.T, key string) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.SendKeys("#subject", key+"\r")); err != nil {
		t.Fatal(err)
	}
}

func click(tab context.Context, t *testing.T, selector string) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Click(selector)); err != nil {
		t.Fatal(err)
	}
}
