package storetest

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// TestModel compares the model with numbers that were computed by hand.
func TestModel(t *testing.T) {
	three, seven := policy(ratelimit.PerSecond(3)), policy(ratelimit.PerSecond(7))
	hour := policy(ratelimit.PerHour(1))
	both := policy(ratelimit.PerSecond(3), ratelimit.PerHour(60).Named("hourly"))
	seen := func(debt, tat int64, seen int64) *store.Knowledge {
		k := store.Known{Debt: micros(debt), Seen: seen}
		if tat != 0 {
			k.TAT = gcra.TAT{Micros: tat, Frac: 1, Den: 3, Num: 1_000_000}
		}
		return &store.Knowledge{k}
	}
	type wanted struct {
		allowed bool
		debts   [store.MaxLimits]gcra.Debt
	}
	m := NewModel()
	for i, step := range []struct {
		now   int64
		key   string
		p     []store.Limit
		cost  int
		known *store.Knowledge
		want  wanted
	}{
		{1000, "k", three, 1, nil, wanted{true, [4]gcra.Debt{of(333_333, 1)}}},
		{1000, "k", three, 2, nil, wanted{true, [4]gcra.Debt{of(1_000_000, 0)}}},
		{1000, "k", three, 1, nil, wanted{false, [4]gcra.Debt{of(1_000_000, 0)}}},
		{334_333, "k", three, 1, nil, wanted{false, [4]gcra.Debt{of(666_667, 0)}}},
		{334_334, "k", three, 1, nil, wanted{true, [4]gcra.Debt{of(999_999, 1)}}},
		{334_334, "k", seven, 1, nil, wanted{true, [4]gcra.Debt{of(571_428, 2)}}}, // 2.999998 tokens, and one
		{1_334_333, "k", three, 0, nil, wanted{true, [4]gcra.Debt{of(0, 1)}}},     // what 3/s had owed
		{1_334_334, "k", three, 3, nil, wanted{true, [4]gcra.Debt{of(1_000_000, 0)}}},
		{1_334_334, "k", hour, 1, nil, wanted{false, [4]gcra.Debt{micros(3_600_000_000)}}}, // 3 tokens, clamped
		{2_334_334, "k", hour, 1, nil, wanted{false, [4]gcra.Debt{micros(3_599_000_000)}}},
		{2_334_334, "k", both, 1, nil, wanted{true, [4]gcra.Debt{of(666_574, 1), micros(60_000_000)}}}, // 3599/3600 of a token, and one
		{2_434_334, "k", hour, 0, nil, wanted{true, [4]gcra.Debt{micros(3_600_000_000)}}},
		{5_000_000, "k", both, 1, nil, wanted{true, [4]gcra.Debt{of(666_429, 1), micros(117_334_334)}}},
		{5_000_000, "k", both, -1, nil, wanted{false, [4]gcra.Debt{of(666_429, 1), micros(117_334_334)}}},
		{5_000_000, "k", both, 4, nil, wanted{false, [4]gcra.Debt{of(666_429, 1), micros(117_334_334)}}},

		{5_000_000, "known", three, 0, seen(400_000, 0, 0), wanted{true, [4]gcra.Debt{micros(400_000)}}},
		{5_000_000, "known", three, 1, seen(400_000, 5_100_000, 0), wanted{true, [4]gcra.Debt{of(433_333, 2)}}},
		{5_000_000, "known under 7/s", seven, 0, seen(2_000_000, 0, 0), wanted{true, [4]gcra.Debt{micros(1_000_000)}}},
		{5_000_000, "known under 7/s", seven, 0, seen(2_000_000, 6_100_000, 0), wanted{true, [4]gcra.Debt{micros(0)}}}, // known under 3/s
	} {
		r := store.Request{Key: step.key, Limits: step.p, Cost: step.cost, Known: step.known}
		want := store.Decision{Allowed: step.want.allowed, Now: step.now, Debts: step.want.debts}
		if got := m.Peek(step.now, r); got != want {
			t.Errorf("step %d, Peek: %+v; want %+v", i, got, want)
		}
		if got := m.Take(step.now, r); got != want {
			t.Errorf("step %d: %+v; want %+v", i, got, want)
		}
	}

	m.Reset(6_000_000, store.Request{Key: "known", Limits: three})
	for seenAt, want := range map[int64]int64{0: 7, 1: 0, 6_000_000: 0, 6_000_001: 7} {
		r := store.Request{Key: "known", Limits: three, Known: seen(7, 0, seenAt)}
		if got := m.Take(6_000_002, r).Debts[0]; got != micros(want) {
			t.Errorf("an observation at %d counts as %+v after a reset at 6000000; want %d µs", seenAt, got, want)
		}
		r.Key = "other"
		if got := m.Take(6_000_002, r).Debts[0]; got != micros(7) {
			t.Errorf("an observation of another key at %d counts as %+v after a reset; want 7 µs", seenAt, got)
		}
	}
}

// TestBriefReset: with BriefReset the model remembers a reset for one refill, and for 20
// seconds at least, as long as a hold from before can live.
func TestBriefReset(t *testing.T) {
	known := &store.Knowledge{{Debt: micros(7), Seen: 500}}
	for _, test := range []struct {
		limit ratelimit.Limit
		ends  int64
	}{
		{ratelimit.PerSecond(3).WithBurst(1), 20_001_000},
		{ratelimit.PerMinute(3).WithBurst(1), 20_001_000},
		{ratelimit.PerMinute(3).WithBurst(2), 40_001_000},
		{ratelimit.Limit{Rate: 3, Period: 100 * time.Second, Burst: 1}, 33_334_334},
	} {
		for _, brief := range []bool{false, true} {
			m := NewModel()
			m.BriefReset = brief
			p := policy(test.limit)
			m.Reset(1000, store.Request{Key: "k", Limits: p})
			for _, now := range []int64{test.ends - 1, test.ends} {
				want := int64(0)
				if brief && now == test.ends {
					want = 7
				}
				got := m.Take(now, store.Request{Key: "k", Limits: p, Known: known})
				if got.Debts[0] != micros(want) {
					t.Errorf("%v, brief %v: an observation from before a reset counts as %+v at %d; want %d µs", test.limit, brief, got.Debts[0], now, want)
				}
			}
		}
	}
}

// TestHistory: the same seed makes the same steps, and all kinds of steps occur.
func TestHistory(t *testing.T) {
	play := func(c HistoryConfig) (steps []Step, seen map[string]int) {
		seen = map[string]int{}
		for i := range uint64(200) {
			h, m := NewHistory(rand.NewPCG(1, i), c), NewModel()
			now := int64(1)
			for range 50 {
				s := h.Next()
				steps = append(steps, s)
				now += s.Wait.Microseconds()
				seen["steps"]++
				if s.Wait < 0 {
					seen["set back"]++
				}
				if s.Reset {
					m.Reset(now, s.Request)
					seen["reset"]++
					continue
				}
				ignorant := s.Request
				ignorant.Known = nil
				without := m.Peek(now, ignorant)
				d := m.Take(now, s.Request)
				h.Saw(s, d)
				switch {
				case without.Debts != d.Debts:
					seen["known"]++
				case s.Request.Known != nil:
					seen["known, without effect"]++
				}
				if len(s.Request.Limits) > 1 {
					seen["several"]++
				}
				switch b := &s.Request.Limits[0]; {
				case d.Allowed:
					seen["admitted"]++
				case s.Request.Cost < 0:
					seen["negative"]++
				case s.Request.Cost > b.Burst():
					seen["above"]++
				default:
					seen["denied"]++
				}
				if d.Debts[0].Frac != 0 {
					seen["fraction"]++
				}
			}
		}
		return steps, seen
	}
	steps, seen := play(HistoryConfig{SetBack: true})
	again, _ := play(HistoryConfig{SetBack: true})
	if !reflect.DeepEqual(steps, again) {
		t.Error("the same seed made other steps")
	}
	for _, what := range []string{"set back", "reset", "known", "known, without effect", "several", "admitted", "negative", "above", "denied", "fraction"} {
		if seen[what]*200 < seen["steps"] {
			t.Errorf("%q occurred in %d of %d steps; want one in 200", what, seen[what], seen["steps"])
		}
	}
	t.Log(seen)

	steps, seen = play(HistoryConfig{Steady: true})
	if seen["set back"] > 0 {
		t.Error("the clock is set back without HistoryConfig.SetBack")
	}
	limits := map[string]store.Limit{}
	for i, s := range steps {
		if i%50 == 0 {
			clear(limits) // another history
		}
		for _, l := range s.Request.Limits {
			if before, ok := limits[l.Name]; ok && before != l {
				t.Fatalf("a steady history changes %v to %v", before, l)
			}
			limits[l.Name] = l
		}
	}
}

// TestSpan: the steps of a history take no longer than its span.
func TestSpan(t *testing.T) {
	const span = 1_000_000
	for i := range uint64(100) {
		h := NewHistory(rand.NewPCG(2, i), HistoryConfig{Span: span, Prefix: "p"})
		total := int64(0)
		for range 200 {
			s := h.Next()
			total += s.Wait.Microseconds()
			if !strings.HasPrefix(s.Request.Key, "p") {
				t.Fatalf("the key is %q; want the prefix p", s.Request.Key)
			}
		}
		if total > span {
			t.Fatalf("the steps took %d µs; want at most %d", total, span)
		}
	}
}

func TestSeed(t *testing.T) {
	t.Setenv("KEYRATE_SEED", "0x10")
	if seed, err := Seed(); seed != 16 || err != nil {
		t.Errorf("Seed() = %d, %v; want 16", seed, err)
	}
	t.Setenv("KEYRATE_SEED", "x")
	if _, err := Seed(); err == nil || !strings.Contains(err.Error(), "KEYRATE_SEED") {
		t.Errorf("Seed() = %v; want an error that names KEYRATE_SEED", err)
	}
	t.Setenv("KEYRATE_SEED", "")
	a, errA := Seed()
	b, errB := Seed()
	if a == b || errA != nil || errB != nil {
		t.Errorf("Seed() = %d, %v, then %d, %v; want different numbers", a, errA, b, errB)
	}
}

// TestHistoryOfHolds: all that a hold can go through occurs.
func TestHistoryOfHolds(t *testing.T) {
	seen := map[string]int{}
	for i := range uint64(300) {
		f := Follower{Model: NewModel(), History: NewHistory(rand.NewPCG(3, i), HistoryConfig{Holds: true})}
		now := int64(1)
		s := newModelStore()
		s.clock = func() int64 { return now }
		for range 100 {
			step := f.History.Next()
			now += step.Wait.Microseconds()
			seen["steps"]++
			if step.Reset {
				f.Model.Reset(now, step.Request)
				_ = s.Reset(t.Context(), step.Request)
				continue
			}
			alive := true
			if name := f.names[step.Hold][1][0]; step.Settle != nil && name != 0 {
				o := f.Model.open(now, nameOf(step.Settle.Home, step.Settle.Key, &step.Settle.Limits[0]), &step.Settle.Limits[0])
				alive = o.b.named(name)
				if o.spent.Cmp(o.capacity) > 0 {
					seen["beyond the capacity"]++
				}
			}
			if err := f.Step(t.Context(), s, step); err != nil {
				t.Fatalf("history %d: %v: %v", i, step, err)
			}
			for i, hold := range step.Releases {
				switch t := step.Request.Release[i]; {
				case t.Renew:
					seen["renewed with a call"]++
				case hold == 0:
					seen["charged with a call"]++
				default:
					seen["settled with a call"]++
				}
			}
			if settle := step.Settle; settle != nil {
				switch {
				case step.Hold == 0:
					seen["charged"]++
				case slices.ContainsFunc(f.History.holds, func(s Step) bool { return s.Hold == step.Hold }) && !settle.Renew:
					seen["settled in part"]++
				case !alive:
					seen["late"]++
				case settle.Renew:
					seen["renewed"]++
				case settle.Actual > settle.Held:
					seen["overrun"]++
				case settle.Actual < settle.Held:
					seen["freed"]++
				}
			} else if r, d := step.Request, f.History.last; r.Hold != nil {
				switch {
				case d.Allowed && r.Limits[0].Loan():
					seen["lent"]++
				case d.Allowed && r.Hold.Leased > 0 && r.Cost > 0:
					seen["leased beside a cost"]++
				case d.Allowed && r.Hold.Leased > 0:
					seen["leased alone"]++
				case d.Allowed && r.Hold.Spend:
					seen["spent at once"]++
				case d.Allowed && d.Granted > 0 && d.Granted < r.Cost:
					seen["granted in part"]++
				case d.Allowed:
					seen["held"]++
				case d.Held[0] > 0:
					seen["denied beside a hold"]++
				}
			}
		}
	}
	for _, what := range []string{"charged", "late", "renewed", "overrun", "freed", "beyond the capacity", "lent", "spent at once", "granted in part", "held", "denied beside a hold",
		"leased beside a cost", "leased alone", "settled in part", "settled with a call", "renewed with a call", "charged with a call"} {
		if seen[what]*1000 < seen["steps"] {
			t.Errorf("%q occurred in %d of %d steps; want one in 1000", what, seen[what], seen["steps"])
		}
	}
	t.Log(seen)
}
