package middleware

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Suite measures each library's own middleware in front of a handler that does nothing, with
// a response that costs nothing: what a request costs beside the server.
var Suite = report.Suite{
	Name:  "middleware",
	Run:   runMiddleware,
	Views: middlewareViews,
	Goals: middlewareGoals,
	Workers: child.Kinds{
		"handle": func() child.Worker { return &handleWorker{} },
	},
}

// A handleCase is how many keys call, and whether they are denied.
type handleCase struct {
	keys    int
	verdict string
}

var handleCases = []handleCase{{1, "allow"}, {1, "deny"}, {10_000, "allow"}, {10_000, "deny"}}

func (h handleCase) kase() string { return fmt.Sprintf("keys=%d/%s", h.keys, h.verdict) }

func (h handleCase) setting() library.Setting {
	s := library.Setting{Limit: library.Once, Keys: h.keys, Presized: true}
	if h.verdict == "allow" {
		s.Limit = library.Plenty
		if h.keys > 1 {
			// A token takes longer to come back than a key to call again: a bucket
			// that keyrate could forget in between would make its work another.
			s.Limit = library.Limit{Tokens: 1_000_000, Per: 24 * time.Hour}
		}
	}
	return s
}

// A handleSetting is the first line of a child with a middleware.
type handleSetting struct {
	Library string
	Setting library.Setting
	Denied  bool
}

func runMiddleware(ctx context.Context, s *report.Session) error {
	rounds, span := 35, 30*time.Millisecond
	if s.Quick {
		rounds, span = 7, 15*time.Millisecond
	}
	for _, h := range handleCases {
		if !s.Wants(h.kase()) {
			continue
		}
		s.Logf("middleware: %s", h.kase())
		var posts []child.Post
		for _, l := range s.Selected(library.Libraries) {
			if l.Handler != nil {
				posts = append(posts, child.Post{Name: l.Name, Args: handleSetting{l.Name, h.setting(), h.verdict == "deny"}})
			}
		}
		c, err := child.Hire(ctx, "handle", posts)
		if err != nil {
			return err
		}
		for n := range rounds {
			err := c.Round(n, func(child *child.Child) error {
				var found report.Figures
				err := child.Do(span, &found)
				if err == nil {
					s.Add("middleware", h.kase(), child.Name, found)
				}
				return err
			})
			if err != nil {
				_ = c.Dismiss()
				return err
			}
		}
		if err := c.Dismiss(); err != nil {
			return err
		}
	}
	return nil
}

// A handleWorker has a handler behind a middleware, and the same handler bare.
type handleWorker struct {
	handleSetting
	bare, limited http.Handler
	request       *http.Request
	key           []string // of the request
	keys          []string
	next          int
}

func (w *handleWorker) SetUp(args json.RawMessage) error {
	if err := json.Unmarshal(args, &w.handleSetting); err != nil {
		return err
	}
	l, err := library.Named(w.Library)
	if err != nil {
		return err
	}
	w.bare = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if w.limited, err = l.Handler(w.Setting, w.bare); err != nil {
		return err
	}
	if w.request, err = http.NewRequest(http.MethodGet, "/", nil); err != nil { //nolint:noctx // it is sent nowhere
		return err
	}
	w.request.RemoteAddr = "192.0.2.1:1234"
	w.key = []string{""}
	w.request.Header[load.KeyHeader] = w.key
	for _, n := range load.Shuffled(w.Setting.Keys) {
		w.keys = append(w.keys, load.NewKey(n))
	}
	// A key is denied after one call that was allowed.
	for _, denied := range []bool{false, w.Denied} {
		if wrong := w.serve(w.limited, len(w.keys), load.Status(denied)); wrong > 0 {
			return fmt.Errorf("%d of %d keys were not answered with %d", wrong, len(w.keys), load.Status(denied))
		}
	}
	return nil
}

// Do measures both handlers in turn, in slices so short that whatever slows the
// machine down slows both.
func (w *handleWorker) Do(args json.RawMessage) (any, error) {
	var span time.Duration
	if err := json.Unmarshal(args, &span); err != nil {
		return nil, err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var bare, limited slice
	for deadline := time.Now().Add(span); time.Now().Before(deadline); {
		if err := w.measure(&bare, w.bare, http.StatusOK, 4096); err != nil {
			return nil, err
		}
		if err := w.measure(&limited, w.limited, load.Status(w.Denied), 4096); err != nil {
			return nil, err
		}
	}
	sink := load.NewSink()
	w.limited.ServeHTTP(sink, w.request)
	return report.Figures{
		"ns":       limited.ns() - bare.ns(),
		"total_ns": limited.ns(),
		"bare_ns":  bare.ns(),
		"allocs":   report.Floor(limited.mallocs, limited.calls),
		"bytes":    report.Floor(limited.bytes, limited.calls),
		"headers":  float64(len(sink.Header())),
	}, nil
}

// A slice is what many calls took together.
type slice struct {
	calls          int
	took           time.Duration
	mallocs, bytes uint64
}

func (s *slice) ns() float64 { return float64(s.took) / float64(s.calls) }

func (w *handleWorker) measure(s *slice, h http.Handler, want, calls int) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	wrong := w.serve(h, calls, want)
	s.took += time.Since(start)
	runtime.ReadMemStats(&after)
	s.calls += calls
	s.mallocs += after.Mallocs - before.Mallocs
	s.bytes += after.TotalAlloc - before.TotalAlloc
	if wrong > 0 {
		return fmt.Errorf("%d of %d requests were not answered with %d", wrong, calls, want)
	}
	return nil
}

// serve sends requests, one key after the other, and counts the wrong answers.
func (w *handleWorker) serve(h http.Handler, calls, want int) (wrong int) {
	sink := load.NewSink()
	for range calls {
		w.key[0] = w.keys[w.next]
		if w.next++; w.next == len(w.keys) {
			w.next = 0
		}
		sink.Clear()
		h.ServeHTTP(sink, w.request)
		if sink.Status != want {
			wrong++
		}
	}
	return wrong
}

func middlewareViews(*report.Session) []report.View {
	var views []report.View
	for _, keys := range []int{1, 10_000} {
		label := report.KeyCount(keys)
		v := report.View{
			Name:  fmt.Sprintf("middleware-%d", keys),
			Title: "A middleware over a bare handler, " + label,
			Note:  library.ByHandNote,
		}
		detail := report.View{Title: "Allocations, and headers sent, " + label}
		for _, verdict := range []string{"allow", "deny"} {
			kase := handleCase{keys, verdict}.kase()
			v.Columns = append(v.Columns, report.Column{Label: report.Verdicts[verdict], Kase: kase, Figure: "ns", Unit: "ns"})
			detail.Columns = append(detail.Columns,
				report.Column{Label: report.Verdicts[verdict] + ", allocations", Kase: kase, Figure: "allocs", Plain: true},
				report.Column{Label: "bytes", Kase: kase, Figure: "bytes", Plain: true},
				report.Column{Label: "headers", Kase: kase, Figure: "headers", Plain: true})
		}
		views = append(views, v, detail)
	}
	return views
}

func middlewareGoals(s *report.Session) []report.Goal {
	var goals []report.Goal
	for _, h := range handleCases {
		what := fmt.Sprintf("middleware, %s, %s", report.KeyCount(h.keys), report.Verdicts[h.verdict])
		most := map[string]float64{"allow": 2, "deny": 5}[h.verdict]
		goals = append(goals, s.AtMost(what, 0.4, report.Column{Kase: h.kase(), Figure: "ns", Unit: "ns"}, library.WithRole(library.Rival), "the fastest other")...)
		goals = append(goals, s.Below(what, most, report.Column{Kase: h.kase(), Figure: "allocs", Unit: "allocations"})...)
	}
	return goals
}
