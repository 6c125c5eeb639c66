package outage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Every library, set up as the suite does it, must admit and deny as asked.
func TestOutageLibrariesDecide(t *testing.T) {
	server := redis.Require(t)
	bare := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	hourly := library.Limit{Tokens: 3, Per: time.Hour}
	for i, l := range outageLibraries {
		handler, err := l.open(server.TCP, hourly, bare)
		if err != nil {
			t.Fatal(l.name, err)
		}
		limiter, err := l.decide(redis.Setting{Network: "tcp", Address: server.TCP, Limit: hourly})
		if err != nil {
			t.Fatal(l.name, err)
		}
		w := &outageWorker{handler: handler, limiter: limiter}
		for n, call := range []func() int{w.handling(2 * i), w.deciding(2*i + 1)} {
			for k := range 5 {
				want := http.StatusOK
				if k >= 3 {
					want = http.StatusTooManyRequests
				}
				if got := call(); got != want {
					t.Errorf("%s, %d: call %d: status %d, want %d", l.name, n, k, got, want)
				}
			}
		}
		if err := limiter.Close(); err != nil {
			t.Error(l.name, err)
		}
	}
}

// TestWrongAnswersAreCounted: a library that admits, denies or fails all calls is wrong.
func TestWrongAnswersAreCounted(t *testing.T) {
	p := hungPlan{time.Second, time.Second, time.Second}
	for _, c := range []struct {
		name                 string
		status               func(i int) int
		above, below, failed bool
	}{
		{"as limited", func(i int) int { // the burst, and then every fourth
			if i < 5*hungKeys || i/hungKeys%4 == 0 {
				return http.StatusOK
			}
			return http.StatusTooManyRequests
		}, false, false, false},
		{"admits all", func(int) int { return http.StatusOK }, true, false, false},
		{"denies all", func(int) int { return http.StatusTooManyRequests }, false, true, false},
		{"fails", func(int) int { return http.StatusInternalServerError }, false, true, true},
		{"gives no answer", func(int) int { return 0 }, false, true, true},
	} {
		calls := make([]hungCall, 3*hungRate)
		for i := range calls {
			due := time.Duration(i) * time.Second / hungRate
			calls[i] = hungCall{due: due, sent: due, came: due + time.Millisecond, status: c.status(i)}
		}
		found := hungFigures(calls, p)
		if (found["above"] > 0) != c.above || (found["below"] > 0) != c.below || (found["failed"] > 0) != c.failed {
			t.Errorf("%s: %v", c.name, found)
		}
		if got := found["p50_us"]; got < 950 || got > 1050 {
			t.Errorf("%s: a median of %v µs, want 1000", c.name, got)
		}
	}
}

func TestAHandlerThatPanicsHasFailed(t *testing.T) {
	w := &outageWorker{handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("as ulule does") })}
	found, err := hammerWith(outageOrder{Callers: 2, Span: 100 * time.Millisecond}, func() func() int { return w.handling(0) })
	if err != nil || found["failed"] == 0 || found["per_second"] != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestOutageSuite(t *testing.T) {
	_ = redis.Require(t)
	var out, log bytes.Buffer
	err := report.Command(t.Context(), []report.Suite{Suite}, []string{"outage", "-quick", "-library", "keyrate,redis_rate", "-json", "-"}, &out, &log)
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]map[string]float64{}
	lines := json.NewDecoder(&out)
	for lines.More() {
		var line map[string]any
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		found := map[string]float64{}
		for name, value := range line {
			if v, ok := value.(float64); ok {
				found[name] = v
			}
		}
		figures[fmt.Sprint(line["case"], " ", line["library"])] = found
	}
	for _, kase := range append([]string{hungCase}, hammeredCases...) {
		for _, name := range []string{library.Ours, "redis_rate"} {
			f := figures[kase+" "+name]
			if f["calls"] <= 0 || f["admitted"] <= 0 || f["p50_us"] <= 0 || f["max_us"] < f["p99_us"] || f["above"] > 0 {
				t.Errorf("%s, %s: %v", kase, name, f)
			}
			if trips := f["trips_per_call"]; kase != hungCase && (name == library.Ours) != (trips < 0.5) {
				t.Errorf("%s, %s: %v trips a call", kase, name, trips)
			}
		}
	}
	// A caller that waits for Redis gets no answer before Redis resumes; with a mirror all do.
	if theirs, own := figures[hungCase+" redis_rate"]["max_us"], figures[hungCase+" "+library.Ours]["p50_us"]; theirs < 1.2e6 || own > 50e3 {
		t.Errorf("while Redis hung, redis_rate took %v µs at most and keyrate %v in the middle", theirs, own)
	}
	if !bytes.Contains(log.Bytes(), []byte("goals of suite outage:")) {
		t.Errorf("no goals in\n%s", log.String())
	}
}

// Every goal and every column must name a case that is measured.
func TestOutageGoalsNameCases(t *testing.T) {
	s := &report.Session{}
	for _, kase := range append([]string{hungCase}, hammeredCases...) {
		for _, l := range outageLibraries {
			s.Add("outage", kase, l.name, report.Figures{"per_second": 1, "wrong": 1, "trips_beyond": 1, "max_less_stall_us": 1})
		}
	}
	if got, want := len(outageGoals(s)), 2+3+1+4; got != want {
		t.Errorf("%d goals, want %d", got, want)
	}
	for _, v := range outageViews(s) {
		for _, c := range v.Columns {
			if s.Find(c.Kase, library.Ours) == nil {
				t.Errorf("%s: no case %s", v.Title, c.Kase)
			}
		}
	}
}
