package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// shown returns the values of an instrument by their labels.
func shown(i *metrics.Instrument, sources ...metrics.Source) map[string]float64 {
	values := make(map[string]float64)
	for _, p := range metrics.Read(sources...).Points(i) {
		values[strings.Join(p.Labels, " ")] = p.Value
	}
	return values
}

// wantShown compares values apart from counters at 0.
func wantShown(t *testing.T, i *metrics.Instrument, want map[string]float64, sources ...metrics.Source) {
	t.Helper()
	got := shown(i, sources...)
	maps.DeleteFunc(got, func(_ string, v float64) bool { return v == 0 && i.Kind == metrics.Counter })
	if !maps.Equal(got, want) {
		t.Errorf("%s: %v; want %v", i.Name, got, want)
	}
}

// TestMetricsBeginAtZero: before the first call there is a counter for each outcome, for each
// class of package store, and for each result of each limit.
func TestMetricsBeginAtZero(t *testing.T) {
	text, err := os.ReadFile("../store/error.go")
	if err != nil {
		t.Fatal(err)
	}
	classes := make(map[string]float64)
	for _, m := range regexp.MustCompile(`Class[A-Z]\w+ += "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		classes[m[1]] = 0
	}
	outcomes := make(map[string]float64)
	for o := range metrics.Outcomes {
		outcomes[metrics.Outcome(o).String()] = 0
	}
	p := policyOf(t, ratelimit.PerHour(40), ratelimit.AtOnce(3), ratelimit.PerDay(20).Named("day").Shadowed(),
		ratelimit.PerDay(9).Named("soon").EnforcedFrom(time.Now().Add(time.Hour)))
	for shadow, evaluations := range map[bool]string{
		false: `default admitted, default denied, concurrent admitted, concurrent denied,
			day admitted, day would_deny, soon admitted, soon would_deny, soon denied`,
		true: `default admitted, default denied, concurrent admitted, concurrent denied,
			day admitted, day would_deny, soon admitted, soon would_deny, soon denied,
			default would_deny, concurrent would_deny`,
	} {
		l := newLimiter(t, p, ratelimit.Config{Metrics: true, Shadow: shadow})
		want := make(map[string]float64)
		for set := range strings.SplitSeq(evaluations, ",") {
			want[strings.TrimSpace(set)+" store"] = 0
		}
		for i, want := range map[*metrics.Instrument]map[string]float64{
			metrics.Checks: outcomes, metrics.StoreErrors: classes, metrics.Evaluations: want,
			metrics.Cost: {"default": 0, "day": 0, "soon": 0},
		} {
			if got := shown(i, l); !maps.Equal(got, want) {
				t.Errorf("shadow %v, %s: %v; want %v", shadow, i.Name, got, want)
			}
		}
	}
}

// A log is what decisions said, one after another.
type callLog struct{ checks, evaluations, cost map[string]float64 }

func newLog() *callLog {
	return &callLog{map[string]float64{}, map[string]float64{}, map[string]float64{}}
}

// note notes a decision that was charged n tokens if it was admitted.
func (g *callLog) note(r ratelimit.Result, n int) {
	outcome := "denied"
	if r.Allowed {
		outcome = "allowed"
	}
	if r.Policy() == ratelimit.Unlimited {
		outcome = "exempt"
	}
	g.checks[outcome]++
	charged := r.Policy() != ratelimit.Unlimited && r.Allowed && !(r.Shadow() && r.WouldDeny())
	for i := range r.Len() {
		s, result := r.State(i), "admitted"
		if s.Violated {
			if result = "denied"; r.Shadow() {
				result = "would_deny"
			}
		}
		g.evaluations[s.Limit.Name+" "+result+" "+r.Source().String()]++
		if charged && n > 0 && !s.Limit.Concurrent {
			g.cost[s.Limit.Name] += float64(n)
		}
	}
	for i := 0; ; i++ {
		s, ok := r.ShadowState(i)
		if !ok {
			return
		}
		if s.Undecided {
			continue
		}
		result := "admitted"
		if s.Violated {
			result = "would_deny"
		}
		g.evaluations[s.Limit.Name+" "+result+" "+r.Source().String()]++
		if !s.Violated && n > 0 {
			g.cost[s.Limit.Name] += float64(n)
		}
	}
}

// TestMetrics: what is counted is what a log of the decisions says, number by number.
func TestMetrics(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits []ratelimit.Limit
		config ratelimit.Config
	}{
		{"one limit", []ratelimit.Limit{ratelimit.PerHour(40)}, ratelimit.Config{}},
		{"two limits", []ratelimit.Limit{ratelimit.PerHour(40), ratelimit.PerDay(100).Named("day")}, ratelimit.Config{}},
		{"shadow", []ratelimit.Limit{ratelimit.PerHour(40), ratelimit.PerDay(100).Named("day")}, ratelimit.Config{Shadow: true}},
		{"beside", []ratelimit.Limit{ratelimit.PerHour(40), ratelimit.PerDay(20).Named("day").Shadowed()}, ratelimit.Config{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := policyOf(t, test.limits...)
			limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
				if key == "exempt" {
					return ratelimit.Unlimited, nil
				}
				return p, nil
			})
			for _, limits := range []ratelimit.Limits{p, limits} {
				c := test.config
				c.Metrics = true
				l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, c)
				if err != nil {
					t.Fatal(err)
				}
				log := newLog()
				for i := range 2000 {
					key, n := fmt.Sprint("key", i%7), i%3
					if i%10 == 0 {
						key = "exempt"
					}
					if n == 1 {
						r, err := l.Allow(t.Context(), key)
						if err != nil {
							t.Fatal(err)
						}
						log.note(r, 1)
						continue
					}
					r, err := l.AllowN(t.Context(), key, n)
					if err != nil {
						t.Fatal(err)
					}
					log.note(r, n)
				}
				wantShown(t, metrics.Checks, log.checks, l)
				wantShown(t, metrics.Evaluations, log.evaluations, l)
				wantShown(t, metrics.Cost, log.cost, l)
			}
		})
	}
}

// TestMetricsOfHolds: tokens are counted when they are charged, and what is held is shown until
// then.
func TestMetricsOfHolds(t *testing.T) {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), policyOf(t, ratelimit.PerHour(100), ratelimit.AtOnce(5)), ratelimit.Config{Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hold, err := l.Hold(t.Context(), "key", 30)
	if err != nil {
		t.Fatal(err)
	}
	_, entered, err := l.Enter(t.Context(), "key", 7)
	if err != nil {
		t.Fatal(err)
	}
	wantShown(t, metrics.Cost, map[string]float64{"default": 7}, l)
	wantShown(t, metrics.Holds, map[string]float64{"default short": 30, "concurrent short": 2}, l)
	if err := hold.Settle(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	entered.Release(t.Context())
	if _, err := l.Charge(t.Context(), "key", 5); err != nil {
		t.Fatal(err)
	}
	wantShown(t, metrics.Cost, map[string]float64{"default": 24}, l)
	wantShown(t, metrics.Holds, map[string]float64{}, l)
	wantShown(t, metrics.Checks, map[string]float64{"allowed": 2}, l)
}

// TestMetricsOfOldHolds: the age of the oldest hold is shown for each limit, also after a time
// without holds and while renewals fail; of several limiters, the larger one.
func TestMetricsOfOldHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		s.fail(false, func(n int) bool { return n%3 == 0 })
		limits := policyOf(t, ratelimit.PerHour(100), ratelimit.AtOnce(5))
		var limiters [2]*ratelimit.Limiter
		for i := range limiters {
			limiters[i] = newLimiterOn(t, s, limits, ratelimit.Config{Metrics: true})
			defer limiters[i].Close()
		}
		wantAges := func(rate, atOnce time.Duration, sources ...metrics.Source) {
			t.Helper()
			got, want := shown(metrics.HoldsOldest, sources...), map[string]time.Duration{"default": rate, "concurrent": atOnce}
			maps.DeleteFunc(want, func(_ string, age time.Duration) bool { return age == 0 })
			if len(got) != len(want) {
				t.Errorf("%v; want %v", got, want)
			}
			for name, age := range want {
				if diff := time.Duration(got[name]*float64(time.Second)) - age; diff.Abs() > 200*time.Millisecond {
					t.Errorf("%v; want %v", got, want)
				}
			}
		}
		for range 2 { // the second time, after a pause
			_, older, err := limiters[0].Enter(t.Context(), "key", 1)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * time.Second)
			hold, err := limiters[1].Hold(t.Context(), "key", 10)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			wantAges(0, 40*time.Second+300*time.Millisecond, limiters[0])
			wantAges(300*time.Millisecond, 300*time.Millisecond, limiters[1])
			wantAges(300*time.Millisecond, 40*time.Second+300*time.Millisecond, limiters[0], limiters[1])
			wantAges(300*time.Millisecond, 40*time.Second+300*time.Millisecond, limiters[1], limiters[0])
			older.Release(t.Context())
			time.Sleep(time.Minute)
			wantAges(time.Minute+300*time.Millisecond, time.Minute+300*time.Millisecond, limiters[0], limiters[1])
			hold.Cancel(t.Context())
			wantAges(0, 0, limiters[0], limiters[1])
			time.Sleep(time.Hour)
		}
	})
}

// TestMetricsOfErrors: a call that could not be decided is counted with its class.
func TestMetricsOfErrors(t *testing.T) {
	failing := &storetest.Faulty{Err: errors.New("down")}
	for served, want := range map[bool]string{false: "undecided_denied", true: "undecided_allowed"} {
		l, err := ratelimit.New(failing, ratelimit.PerSecond(5), ratelimit.Config{Metrics: true, Shadow: served})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = l.Allow(t.Context(), "key")
		wantShown(t, metrics.Checks, map[string]float64{want: 1}, l)
		wantShown(t, metrics.StoreErrors, map[string]float64{store.ClassOther: 1}, l)
		at := l.AtDoor() // which knows better what becomes of the call
		_, _ = at.Allow(t.Context(), "key")
		at.Ended(metrics.UndecidedAllowed)
		if got := shown(metrics.Checks, l); got["undecided_allowed"]+got["undecided_denied"] != 2 || got["undecided_allowed"] == 0 {
			t.Errorf("%v", got)
		}
	}
}

// TestMetricsOfParts: limiters that were made from each other count together, and show each
// limit once.
func TestMetricsOfParts(t *testing.T) {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(100), ratelimit.Config{Metrics: true})
	if err != nil {
		t.Fatal(err)
	}
	part, err := l.With(ratelimit.PerSecond(2).Named("export"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := part.Allow(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
	}
	wantShown(t, metrics.Checks, map[string]float64{"allowed": 2, "denied": 1}, l, part)
	wantShown(t, metrics.Evaluations, map[string]float64{"default admitted store": 3, "export admitted store": 2, "export denied store": 1}, l)
	wantShown(t, metrics.LimitTokens, map[string]float64{"default ": 100, "export ": 2}, l)
	wantShown(t, metrics.LimitPeriod, map[string]float64{"default ": 60, "export ": 1}, l)
	wantShown(t, metrics.Buckets, map[string]float64{"memory": 2}, l, part)
}

// TestMetricsAreSampled: one decision in memory of some 64 is measured, and each of those that
// left the process.
func TestMetricsAreSampled(t *testing.T) {
	const calls = 100_000
	measured := func(s store.Store) (n uint64) {
		l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{Metrics: true})
		if err != nil {
			t.Fatal(err)
		}
		told, sets := uint64(0), 0
		l.OnMeasurement(func(i *metrics.Instrument, labels ...string) func(float64) {
			if sets++; len(labels) != len(i.Labels) {
				t.Errorf("%s: labels %v", i.Name, labels)
			}
			return func(value float64) {
				if value < 0 {
					t.Errorf("%s: %v under %v", i.Name, value, labels)
				}
				told++
			}
		})
		for range calls {
			if _, err := l.Allow(t.Context(), "key"); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range metrics.Read(l).Points(metrics.CheckDuration) {
			for _, b := range p.Buckets {
				n += b
			}
		}
		if told != 2*n { // the time, and the use of one limit
			t.Errorf("%d measurements were passed on, of %d decisions", told, n)
		}
		if sets > 3 { // allowed, denied, and the limit
			t.Errorf("the exporter was asked for %d sets of labels, want 3", sets)
		}
		return n
	}
	if n := measured(memstore.New(memstore.Config{})); n < calls/64*8/10 || n > calls/64*12/10 {
		t.Errorf("%d of %d decisions in memory were measured", n, calls)
	}
	type far struct{ store.Store } // not known to be in memory
	if n := measured(far{memstore.New(memstore.Config{})}); n != calls {
		t.Errorf("%d of %d decisions that left the process were measured", n, calls)
	}
}

// TestMetricsAreBounded: limits without end do not make label sets without end, and none of
// them holds a key.
func TestMetricsAreBounded(t *testing.T) {
	const secret = "sk-live-4242"
	limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		return ratelimit.NewPolicy(ratelimit.PerSecond(5).Named("limit-" + key[len(secret):]))
	})
	l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{Metrics: true, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 { // more than have labels, fewer than have names in all of the tests
		if _, err := l.Allow(t.Context(), secret+fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	r, total := metrics.Read(l), 0.0
	for _, i := range metrics.Instruments() {
		points := r.Points(i)
		if len(points) > metrics.MaxLimits+1 {
			t.Errorf("%s has %d label sets", i.Name, len(points))
		}
		for _, p := range points {
			if strings.Contains(strings.Join(p.Labels, " "), secret) {
				t.Errorf("%s: %v", i.Name, p.Labels)
			}
			if i == metrics.Evaluations {
				total += p.Value
			}
		}
	}
	if total != 300 {
		t.Errorf("%v evaluations were counted", total)
	}
}

// configured are limits that show their policies, as a table does.
type configured struct {
	ratelimit.LimitsFunc
	policies []*ratelimit.Policy
}

// Measure implements [metrics.Source].
func (c configured) Measure(r *metrics.Reading) {
	for _, p := range c.policies {
		ratelimit.MeasureLimits(r, p, "")
	}
}

// TestMetricsOfManyKeys: 100,000 keys under 20 limits make 500 label sets at most, and none of
// them holds a key, its hash or an address.
func TestMetricsOfManyKeys(t *testing.T) {
	var policies []*ratelimit.Policy
	for i := range 10 {
		policies = append(policies, policyOf(t, ratelimit.PerHour(1).Named(fmt.Sprint("hourly-", i)), ratelimit.PerDay(5).Named(fmt.Sprint("daily-", i))))
	}
	limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		return policies[key[len(key)-1]%10], nil
	})
	l := newLimiter(t, configured{limits, policies}, ratelimit.Config{Metrics: true, Timeout: time.Minute})
	secrets := []string{"sk-live-", "192.0.2.", "sha256:"}
	for i := range 100_000 {
		key := fmt.Sprint("sk-live-", i)
		if i%3 == 0 {
			key = fmt.Sprintf("192.0.2.%d", i)
		}
		for range 2 {
			if _, err := l.Allow(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	sets := 0
	leaks := func(r *metrics.Reading) (leaks int) {
		sets = 0
		for _, i := range metrics.Instruments() {
			for _, p := range r.Points(i) {
				sets++
				for _, s := range secrets {
					if strings.Contains(strings.Join(p.Labels, " "), s) {
						leaks++
					}
				}
			}
		}
		return leaks
	}
	r := metrics.Read(l)
	n := leaks(r)
	t.Logf("%d label sets", sets)
	if n > 0 || sets > 500 || sets < 50 {
		t.Errorf("%d label sets, %d of them with a key or an address", sets, n)
	}
	r.Add(metrics.Checks, 1, "192.0.2.7") // the control
	if leaks(r) != 1 {
		t.Error("an address in a label is not found")
	}
}

// TestMetricsOff: without Config.Metrics a limiter shows nothing.
func TestMetricsOff(t *testing.T) {
	l := newLimiter(t, ratelimit.PerSecond(5), ratelimit.Config{})
	_, _ = l.Allow(t.Context(), "key")
	l.Ended(metrics.Skipped)
	for _, l := range []*ratelimit.Limiter{l, {}} {
		for _, i := range metrics.Instruments() {
			if points := metrics.Read(l).Points(i); len(points) > 0 {
				t.Errorf("%s: %v", i.Name, points)
			}
		}
	}
}

// BenchmarkMetrics measures what counting adds to a decision.
func BenchmarkMetrics(b *testing.B) {
	for name, c := range map[string]ratelimit.Config{"without": {}, "with": {Metrics: true}} {
		b.Run(name, func(b *testing.B) {
			l, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1).WithBurst(80_000), c)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Allow(b.Context(), "key"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
