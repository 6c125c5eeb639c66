package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestShadowThroughFaults: limits in shadow would deny exactly the requests that they deny when
// enforced, whether the shared store works, refuses, hangs or is down. Where the mirror does
// not decide, no request is denied.
func TestShadowThroughFaults(t *testing.T) {
	for _, noShare := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoShare %v", noShare), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := []ratelimit.Limit{ratelimit.PerMinute(6), ratelimit.PerHour(20).WithBurst(9).Named("hourly")}
				marked := []ratelimit.Limit{limits[0].Shadowed(), limits[1].EnforcedFrom(time.Now().Add(365 * 24 * time.Hour))}
				var shared [2]*faulty
				var limiters [2]*ratelimit.Limiter
				for i, p := range []*ratelimit.Policy{testkit.Policy(t, limits...), testkit.Policy(t, marked...)} {
					shared[i] = newFaulty()
					shared[i].trip = func() time.Duration { return time.Millisecond }
					var err error
					limiters[i], err = ratelimit.New(newMirror(t, shared[i], mirror.Config{Nodes: 3, NoShare: noShare}), p, ratelimit.Config{})
					if err != nil {
						t.Fatal(err)
					}
				}
				rng := rand.New(rand.NewPCG(1, 0))
				var decided, undecided, denied int
				var denials int64
				for range 30 {
					for _, f := range shared {
						f.up()
					}
					time.Sleep(10 * time.Second) // the shared store is back
					switch fault := rng.IntN(3); fault {
					case 1:
						shared[0].down()
						shared[1].down()
					case 2:
						shared[0].hangs.Store(true)
						shared[1].hangs.Store(true)
					}
					for range 12 {
						time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
						key, n := strconv.Itoa(rng.IntN(2)), 1+rng.IntN(2)
						var results [2]ratelimit.Result
						var errs [2]error
						var wg sync.WaitGroup
						start := time.Now()
						for i, l := range limiters {
							wg.Go(func() { results[i], errs[i] = l.AllowN(t.Context(), key, n) })
						}
						wg.Wait()
						if took := time.Since(start); took > store.DefaultTimeout {
							t.Errorf("a decision took %v", took)
						}
						want, got := results[0], results[1]
						if (errs[0] == nil) != (errs[1] == nil) || !got.Allowed || !got.Shadow() {
							t.Fatalf("%+v, %v; enforced %+v, %v", got, errs[1], want, errs[0])
						}
						if errs[0] != nil {
							if _, ok := errors.AsType[*store.Error](errs[1]); !ok {
								t.Fatal(errs[1])
							}
							undecided++
							continue
						}
						if decided++; got.WouldDeny() == want.Allowed || got.Remaining() != want.Remaining() || got.RetryAfter() != want.RetryAfter() || got.ResetAfter() != want.ResetAfter() || got.Source() != want.Source() {
							t.Fatalf("%+v; enforced %+v", got, want)
						}
						if !want.Allowed {
							denied++
							denials++
						}
					}
				}
				report := limiters[1].ShadowReport()
				if report.WouldDeny != denials || report.Decisions != int64(decided) {
					t.Errorf("%d denials of %d: %+v", denials, decided, report)
				}
				if denied == 0 || (undecided > 0) != (noShare) {
					t.Errorf("%d were denied and %d not decided: this proves nothing", denied, undecided)
				}
			})
		})
	}
}

// slow is a shared store that takes 20 ms: there is time for two questions, but not for three.
type slow struct{ *faulty }

func (s slow) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	const trip = 20 * time.Millisecond
	time.Sleep(min(trip, r.Timeout))
	if r.Timeout < trip {
		return store.Decision{}, &store.Error{Class: store.ClassTimeout, Err: context.DeadlineExceeded}
	}
	r.Timeout -= trip
	return s.faulty.Take(ctx, r)
}

// TestShadowBesideThroughFaults: limits in shadow beside an enforced one take no more than the
// time that a decision may take, and deny no request, whatever the shared store does.
func TestShadowBesideThroughFaults(t *testing.T) {
	for _, noShare := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := slow{newFaulty()}
			p := testkit.Policy(t, ratelimit.PerSecond(1000), ratelimit.PerDay(1).Named("a").Shadowed(), ratelimit.PerDay(1).Named("b").Shadowed(), ratelimit.PerDay(1).Named("c").Shadowed())
			l, err := ratelimit.New(newMirror(t, shared, mirror.Config{NoShare: noShare}), p, ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 120 {
				switch i {
				case 30:
					shared.down()
				case 60:
					shared.hangs.Store(true)
				case 90:
					shared.up()
				}
				start := time.Now()
				r, err := l.Allow(t.Context(), "k")
				if took := time.Since(start); took > store.DefaultTimeout {
					t.Fatalf("NoShare %v: request %d took %v", noShare, i, took)
				}
				if (err != nil) != (noShare && !r.Allowed) || err == nil && !r.Allowed || r.Shadow() {
					t.Fatalf("NoShare %v: request %d: %+v, %v", noShare, i, r, err)
				}
				if err != nil && (i < 30 || i >= 95) {
					t.Errorf("NoShare %v: request %d: %v", noShare, i, err)
				}
				if (i < 30 || i >= 95) && r.Source() != store.FromStore {
					t.Errorf("NoShare %v: request %d: limits in shadow open the breaker: %+v", noShare, i, r)
				}
				time.Sleep(200 * time.Millisecond)
			}
			report := l.ShadowReport()
			if report.WouldDeny == 0 || report.Undecided == 0 || report.Decisions < 50 {
				t.Errorf("NoShare %v: %+v", noShare, report)
			}
		})
	}
}
