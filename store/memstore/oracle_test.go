package memstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// histories returns how many random histories to try: KEYRATE_ORACLE_HISTORIES,
// else
// 600, or 5,000 with KEYRATE_LONG=1, and fewer with the race detector.
func histories(t *testing.T) int {
	t.Helper()
	if s := os.Getenv("KEYRATE_ORACLE_HISTORIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("KEYRATE_ORACLE_HISTORIES %q must be a whole number of at least 1", s)
		}
		return n
	}
	if raceEnabled {
		return testkit.Count(500, 1000)
	}
	return testkit.Count(600, 5000)
}

// TestOracle compares every answer of the store with those of the model, over
// random histories of up to 200 steps each, a third of them under several limits at
// once. The clock goes forth and back, full buckets are swept and tables are moved
// between the steps, and the table is often so small that buckets take the places of
// full ones.
func TestOracle(t *testing.T) {
	everyHistory(t, histories(t), followExactly)
}

// TestOracleWithoutIndices does the same in a process that has had too many intervals: its
// limits have no index, and all of its buckets are kept whole.
func TestOracleWithoutIndices(t *testing.T) {
	if os.Getenv("KEYRATE_WITHOUT_INDICES") == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOracleWithoutIndices$", "-test.v")
		child.Env = append(os.Environ(), "KEYRATE_WITHOUT_INDICES=1")
		out, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: TestOracleWithoutIndices") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for i := range gcra.MaxIntervals {
		if _, err := gcra.NewRate(1, time.Duration(i+7)*time.Microsecond, 1); err != nil {
			t.Fatal(err)
		}
	}
	m, five := newManual(4096), testkit.Limits(t, ratelimit.Limit{Rate: 3, Period: 71 * time.Second})
	m.take("k", five, 1)
	if used, _ := m.countWholes(t); used != 1 || five[0].Index() != 0 {
		t.Fatalf("%d buckets are kept whole, under a limit of the index %d; want 1, and 0", used, five[0].Index())
	}
	everyHistory(t, histories(t)/3, followExactly)
}

// TestOracleOverflow does the same where keys share buckets. Then an answer that
// is marked may be too strict, but never too generous; any other is exact.
func TestOracleOverflow(t *testing.T) {
	everyHistory(t, histories(t)/5, followOverflow)
}

// everyHistory runs histories on all processors.
func everyHistory(t *testing.T, n int, follow func(random *rand.Rand, h func(storetest.HistoryConfig) *storetest.History) (seen, error)) {
	t.Helper()
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var next, steps, several, inPart atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !failed.Load() {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				taken, err := follow(random, func(c storetest.HistoryConfig) *storetest.History {
					return storetest.NewHistory(random, c)
				})
				steps.Add(int64(taken.steps))
				several.Add(int64(taken.several))
				inPart.Add(int64(taken.inPart))
				if err != nil {
					failed.Store(true)
					t.Errorf("KEYRATE_SEED=%#x, history %d, step %d: %v", seed, i, taken.steps, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("KEYRATE_SEED=%#x: %d histories, %d steps, %d of them under several limits, %d denied by some of these; %.1f s",
		seed, n, steps.Load(), several.Load(), inPart.Load(), time.Since(start).Seconds())
	if n >= 100 && (several.Load() < steps.Load()/5 || inPart.Load() < steps.Load()/100) {
		t.Error("too few steps under several limits for the test to mean anything of them")
	}
}

// What was seen of a history.
type seen struct {
	steps   int
	several int // decisions under several limits
	inPart  int // denied by some of these, while others had room
}

func (s *seen) saw(step storetest.Step, d store.Decision) {
	s.steps++
	if len(step.Request.Limits) > 1 {
		s.several++
	}
	if step.DeniedInPart(d) {
		s.inPart++
	}
}

// oracleKeys is the most buckets that a history and its decoys use.
const (
	oracleKeys   = 3 * (store.MaxLimits + 1) // with a loan
	oracleDecoys = 8
)

func followExactly(random *rand.Rand, history func(storetest.HistoryConfig) *storetest.History) (taken seen, err error) {
	h := history(storetest.HistoryConfig{SetBack: random.IntN(2) == 0, Holds: random.IntN(2) == 0})
	s := newManual([]int{oracleKeys + oracleDecoys, oracleKeys + oracleDecoys + 1, 64, 4096}[random.IntN(4)])
	watched := &watched{manual: s}
	f := storetest.Follower{Model: storetest.NewModel(), History: h}
	disturb := disturber(random, s)
	latest := int64(0) // the latest reading of the clock
	for range 1 + random.IntN(200) {
		step := h.Next()
		s.now = max(s.now+int64(step.Wait/time.Microsecond), 1) // 0 is no instant
		latest = max(latest, s.now)
		disturb(latest)
		if step.Reset {
			taken.steps++
			s.reset(step.Request.Key, step.Request.Limits)
			f.Model.Reset(latest, store.Request{Key: step.Request.Key, Limits: step.Request.Limits})
			continue
		}
		if err := f.Step(context.Background(), watched, step); err != nil {
			return taken, fmt.Errorf("%v: %w", step, err)
		}
		if step.Settle != nil {
			taken.steps++
			continue
		}
		if watched.last.Now != latest || watched.last.Overflow {
			return taken, fmt.Errorf("%v: answered at %d, overflow=%v; want %d, and false, since there was room", step, watched.last.Now, watched.last.Overflow, latest)
		}
		taken.saw(step, watched.last)
	}
	return taken, nil
}

// A watched store shows its last decision.
type watched struct {
	*manual
	last store.Decision
}

func (w *watched) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	w.last, err = w.manual.Take(ctx, r)
	return w.last, err
}

var decoyPolicies = func() (all [][]store.Limit) {
	for _, l := range []ratelimit.Limit{{Rate: 1, Period: time.Microsecond}, ratelimit.PerSecond(3), ratelimit.PerDay(1)} {
		p, err := ratelimit.NewPolicy(l)
		if err != nil {
			panic(err)
		}
		all = append(all, p.Compiled())
	}
	return all
}()

// disturber returns a function that does to the store, at random, what must not
// change any answer.
func disturber(random *rand.Rand, s *manual) func(now int64) {
	calm := random.IntN(3) == 0
	return func(now int64) {
		if calm {
			return
		}
		switch random.IntN(8) {
		case 0:
			s.sweepAll(now)
		case 1:
			s.resizeAll()
		case 2:
			s.sweepAll(now)
			s.resizeAll()
		case 3, 4:
			s.take("decoy "+strconv.Itoa(random.IntN(oracleDecoys)), decoyPolicies[random.IntN(len(decoyPolicies))], 1)
		}
	}
}

func followOverflow(random *rand.Rand, history func(storetest.HistoryConfig) *storetest.History) (taken seen, err error) {
	h := history(storetest.HistoryConfig{Steady: true, SetBack: random.IntN(2) == 0})
	s := newManual(1 + random.IntN(4))
	m := storetest.NewModel()
	disturb := disturber(random, s)
	latest := int64(0) // the latest reading of the clock
	for range 1 + random.IntN(200) {
		step := h.Next()
		s.now = max(s.now+int64(step.Wait/time.Microsecond), 1) // 0 is no instant
		latest = max(latest, s.now)
		disturb(latest)
		r := step.Request
		if step.Reset {
			taken.steps++
			s.reset(r.Key, r.Limits)
			m.Reset(latest, store.Request{Key: r.Key, Limits: r.Limits})
			continue
		}
		want := m.Peek(latest, r)
		got, err := s.Take(nil, r) //nolint:staticcheck // the store must not heed it
		if err != nil {
			return taken, err
		}
		if !got.Overflow {
			if err := storetest.Compare(r.Limits, got, want); err != nil {
				return taken, fmt.Errorf("%v: not marked Overflow, but %w", step, err)
			}
		}
		if got.Allowed && !want.Allowed {
			return taken, fmt.Errorf("%v: admitted, though the key has the debts %v", step, want.Debts)
		}
		if got.Allowed == want.Allowed {
			for j := range len(r.Limits) {
				if got.Debts[j].Less(want.Debts[j]) {
					return taken, fmt.Errorf("%v: the debts are %v, less than the key's own, %v", step, got.Debts, want.Debts)
				}
			}
		}
		if got.Allowed {
			m.Take(latest, r)
		}
		h.Saw(step, got)
		taken.saw(step, got)
	}
	return taken, nil
}
