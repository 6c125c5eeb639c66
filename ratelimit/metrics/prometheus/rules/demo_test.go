package rules_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// A scenario is 40 minutes of two nodes, in which something happens after 15 calm ones.
type scenario struct {
	name    string
	noShare bool
	bare    bool                      // no mirror in front of the store
	begin   func(n *node)             // once
	second  func(n *node, second int) // every three seconds from then on
	// alerts are those that fire, with the instance if they are about one.
	alerts []string
}

const (
	calm     = 15 * 60 // seconds
	duration = 40 * 60
	step     = 3
)

var errDown = errors.New("connection refused")

var scenarios = []scenario{
	{name: "quiet"},
	{
		name: "Redis is down for one node", begin: func(n *node) { n.link.fault.Store(n.name == "b") },
		alerts: []string{"KeyrateStoreDown b", "KeyrateDecidedByShare b"},
	},
	{
		name: "Redis hangs", begin: func(n *node) { n.link.hangs.Store(true) },
		alerts: []string{"KeyrateStoreDown a", "KeyrateStoreDown b", "KeyrateDecidedByShare a", "KeyrateDecidedByShare b"},
	},
	{
		name: "Redis is down, and no node decides alone", noShare: true, begin: func(n *node) { n.link.fault.Store(true) },
		alerts: []string{"KeyrateStoreDown a", "KeyrateStoreDown b", "KeyrateUndecided a", "KeyrateUndecided b"},
	},
	{
		name: "a node lacks CPU", begin: func(n *node) { n.link.late.Store(n.name == "b") },
		alerts: []string{"KeyrateStarvedProcess b", "KeyrateDecidedByShare b"},
	},
	{
		name: "a node without a mirror lacks CPU", bare: true, begin: func(n *node) { n.link.late.Store(n.name == "b") },
		alerts: []string{"KeyrateStarvedProcess b", "KeyrateUndecided b"},
	},
	{
		name: "a shadow limit is too low", second: func(n *node, _ int) { n.call(10, "gold-"+n.name) },
		alerts: []string{"KeyrateShadowWouldDeny"},
	},
	{
		name: "a client calls too often", second: func(n *node, _ int) { n.call(40, "free-"+n.name) },
		alerts: []string{"KeyrateManyDenied"},
	},
	{
		name: "a client forgot its key", second: func(n *node, _ int) { n.call(2, "") },
		alerts: []string{"KeyrateNoKey"},
	},
	{
		name: "one node meets too many keys", second: func(n *node, second int) {
			for i := 0; n.name == "b" && i < 60; i++ {
				_, _ = n.logins.Allow(context.Background(), fmt.Sprint(second, i))
			}
		},
		alerts: []string{"KeyrateMemoryFull b", "KeyrateManyDenied"}, // new keys share buckets with others
	},
	{
		name: "a file of limits is broken on one node", begin: func(n *node) {
			if n.name == "b" {
				n.write("default: 5/x\n")
			}
		},
		alerts: []string{"KeyrateReloadFailed b"},
	},
	{
		name: "a file of limits is broken for four minutes", begin: func(n *node) { n.write("default: 5/x\n") },
		second: func(n *node, second int) {
			if second == calm+4*60 {
				n.write(limits)
			}
		},
	},
	{
		name: "handlers hang", begin: func(n *node) {
			for range 4 {
				go n.handle("/hang", "gold-"+n.name)
			}
		},
		alerts: []string{"KeyrateHoldsStuck a", "KeyrateHoldsStuck b", "KeyrateManyDenied"},
	},
	{
		name: "calls take nine minutes", second: func(n *node, second int) {
			if second%(9*60) == 0 {
				go n.handle("/slow", "gold-"+n.name)
			}
		},
	},
}

const limits = `default: 20/s
plans:
  gold: [50/s, 4 at a time, 5/s;name=trial;shadow]
members:
  gold-a: gold
  gold-b: gold
`

// A node serves requests within limits from a file, shared through a store that stands for Redis,
// and limits logins by itself.
type node struct {
	t        *testing.T
	name     string
	link     *link
	path     string
	file     *file.File
	logins   *ratelimit.Limiter
	handler  http.Handler
	registry *prometheus.Registry
}

func newNode(t *testing.T, name string, redis *memstore.Store, s *scenario, end <-chan struct{}) *node {
	t.Helper()
	n := &node{t: t, name: name, link: &link{Store: redis}, path: filepath.Join(t.TempDir(), "limits.yaml"), registry: prometheus.NewPedanticRegistry()}
	n.write(limits)
	var err error
	if n.file, err = file.Open(n.path, file.Config{}); err != nil {
		t.Fatal(err)
	}
	var shared store.Store = struct { // without the fast path of a store in memory
		store.Store
		store.Holder
	}{n.link, n.link}
	if !s.bare {
		m, err := mirror.New(n.link, mirror.Config{Nodes: 2, NoShare: s.noShare})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		shared = m
	}
	limiter, err := ratelimit.New(shared, n.file.Table(), ratelimit.Config{Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(limiter.Close)
	memory := memstore.New(memstore.Config{MaxKeys: 1000})
	if n.logins, err = ratelimit.New(memory, ratelimit.PerHour(30).Named("login"), ratelimit.Config{Metrics: true}); err != nil {
		t.Fatal(err)
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{
		Key: middleware.Header("X-API-Key"), RequireKey: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.handler = limited(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			<-end
		case "/slow":
			select {
			case <-end:
			case <-time.After(9 * time.Minute):
			}
		case "/long":
			time.Sleep(2 * time.Second)
		}
	}))
	n.registry.MustRegister(keyrateprometheus.NewCollector(limiter, n.logins, n.file))
	return n
}

// write writes the file of limits, and reads it again if it is in use.
func (n *node) write(text string) {
	if err := os.WriteFile(n.path, []byte(text), 0o600); err != nil {
		n.t.Error(err)
	}
	if n.file != nil {
		_ = n.file.Reload()
	}
}

func (n *node) handle(path, key string) {
	r := httptest.NewRequestWithContext(n.t.Context(), http.MethodGet, path, nil)
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	n.handler.ServeHTTP(httptest.NewRecorder(), r)
}

// call makes requests one after the other.
func (n *node) call(times int, key string) {
	for range times {
		n.handle("/", key)
	}
}

// usual is what clients do every three seconds.
func (n *node) usual(second int) {
	n.call(2, "gold-"+n.name)
	n.call(3, "free-"+n.name)
	_, _ = n.logins.Allow(context.Background(), fmt.Sprint(second%200))
	switch second % 60 {
	case 12:
		go n.handle("/long", "gold-"+n.name)
	case 30:
		n.call(2, "gold-"+n.name)
		n.call(15, "free-"+n.name)
		n.call(1, "")
	}
}

// A link is how a node reaches the store that stands for Redis.
type link struct {
	*memstore.Store
	fault, hangs, late atomic.Bool
	calls              atomic.Int64
}

// Take implements [store.Store].
func (l *link) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := l.pass(ctx); err != nil {
		return store.Decision{}, err
	}
	return l.Store.Take(ctx, r)
}

// Settle implements [store.Holder].
func (l *link) Settle(ctx context.Context, all []store.Settlement) {
	if err := l.pass(ctx); err != nil {
		for i := range all {
			all[i].Err = store.NewError(err, all[i].Key)
		}
		return
	}
	l.Store.Settle(ctx, all)
}

func (l *link) pass(ctx context.Context) error {
	switch {
	case l.fault.Load():
		return errDown
	case l.hangs.Load():
		<-ctx.Done()
	case l.late.Load() && l.calls.Add(1)%5 == 0: // the process does not run when the answer comes
		time.Sleep(200 * time.Millisecond)
	}
	return ctx.Err()
}

// record plays a scenario in simulated time.
func record(t *testing.T, s scenario) *recording {
	t.Helper()
	r := &recording{series: make(map[string]*series)}
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		t.Cleanup(func() { close(end); synctest.Wait() })
		redis := memstore.New(memstore.Config{})
		nodes := []*node{newNode(t, "a", redis, &s, end), newNode(t, "b", redis, &s, end)}
		began := time.Now()
		r.start = began
		for second := 0; second < duration; second += step {
			time.Sleep(time.Until(began.Add(time.Duration(second) * time.Second)))
			if at := time.Duration(second) * time.Second; at%interval < step*time.Second {
				for _, n := range nodes {
					r.scrape(t, n.name, n.registry)
				}
			}
			for _, n := range nodes {
				if second == calm && s.begin != nil {
					s.begin(n)
				}
				if second >= calm && s.second != nil {
					s.second(n, second)
				}
				n.usual(second)
			}
		}
	})
	return r
}

// recordings are made once for all tests, by the names of the scenarios.
var (
	recordings = make(map[string]*recording)
	recorded   sync.Once
)

func recordAll(t *testing.T) map[string]*recording {
	t.Helper()
	recorded.Do(func() {
		for _, s := range scenarios {
			recordings[s.name] = record(t, s)
		}
	})
	return recordings
}
