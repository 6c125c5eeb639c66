package ratelimit_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// renewing is a holder that notes when holds are renewed.
type renewing struct {
	*holder
	mu      sync.Mutex
	began   time.Time
	batches []int           // how many holds each renewed
	at      []time.Duration // when
}

func newRenewing() *renewing {
	r := &renewing{holder: newHolder(), began: time.Now()}
	settle := r.settle
	r.settle = func(ctx context.Context, all []store.Settlement) {
		if all[0].Renew {
			r.mu.Lock()
			r.batches, r.at = append(r.batches, len(all)), append(r.at, time.Since(r.began))
			r.mu.Unlock()
		}
		settle(ctx, all)
	}
	return r
}

// noted returns how many holds each renewal was for, and when it was.
func (r *renewing) noted() (batches []int, at []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.batches), slices.Clone(r.at)
}

// delay makes renewals take a round trip.
func (r *renewing) delay(trip time.Duration) {
	settle := r.settle
	r.settle = func(ctx context.Context, all []store.Settlement) {
		if all[0].Renew {
			time.Sleep(trip / 2)
			defer time.Sleep(trip / 2)
		}
		settle(ctx, all)
	}
}

// fail makes the store fail renewals: before or after they have been executed.
func (r *renewing) fail(executed bool, when func(n int) bool) {
	settle := r.settle
	n := 0
	r.settle = func(ctx context.Context, all []store.Settlement) {
		renews := all[0].Renew
		if renews {
			n++
		}
		failing := renews && when(n)
		if failing && executed {
			names := all[0].Names
			settle(ctx, all)
			all[0].Names = names
		} else if !failing {
			settle(ctx, all)
		}
		if failing {
			for i := range all {
				all[i].Err = errors.New("lost")
			}
		}
	}
}

// TestHoldLasts as long as the call: the limiter renews it after 0.4 seconds, then each 3.
func TestHoldLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		l := newLimiterOn(t, s, ratelimit.PerSecond(100), ratelimit.Config{})
		h := held(t, l, 40)
		for range 60 {
			time.Sleep(time.Second)
			if got := remaining(t, l); got != 60 {
				t.Fatalf("after %v, %d are left beside a hold of 40", time.Since(s.began), got)
			}
		}
		settle(t, h, 10)
		if got := remaining(t, l); got != 90 {
			t.Errorf("settled: %d are left", got)
		}
		if _, at := s.noted(); len(at) != 20 || at[0] != 400*time.Millisecond || at[1] != 3400*time.Millisecond {
			t.Errorf("renewed at %v", at)
		}
	})
}

func TestShortCallsAreNotRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		l := newLimiterOn(t, s, ratelimit.PerSecond(100), ratelimit.Config{})
		for range 50 {
			h := held(t, l, 1)
			time.Sleep(299 * time.Millisecond)
			settle(t, h, 1)
		}
		if _, at := s.noted(); len(at) != 0 {
			t.Errorf("renewed at %v", at)
		}
	})
}

// TestRenewalsAreBatched: at most 256 to a call of the store.
func TestRenewalsAreBatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		l := newLimiterOn(t, s, ratelimit.AtOnce(1000), ratelimit.Config{})
		var all []*ratelimit.Hold
		for range 600 {
			all = append(all, held(t, l, 1))
		}
		time.Sleep(time.Minute)
		if got := remaining(t, l); got != 400 {
			t.Errorf("%d places are left beside 600", got)
		}
		for _, h := range all {
			h.Release(t.Context())
		}
		if got := remaining(t, l); got != 1000 {
			t.Errorf("%d places are left at the end", got)
		}
		b, _ := s.noted()
		sum := 0
		for _, n := range b {
			sum += n
		}
		if sum != 20*600 || slices.Max(b) != 256 || len(b) > 66 { // 60, and a few that were cut in two
			t.Errorf("%d batches: %v", len(b), b)
		}
	})
}

// TestRenewalsAreSentAtOnce: however many holds are due, those that begin at the end of a slot
// have one second, and a round trip may take a fifth of it.
func TestRenewalsAreSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4000
		s := newRenewing()
		s.delay(200 * time.Millisecond)
		l := newLimiterOn(t, s, ratelimit.AtOnce(n), ratelimit.Config{Timeout: time.Second})
		all := []*ratelimit.Hold{held(t, l, 1)} // begins the slot
		time.Sleep(999 * time.Millisecond)
		for range n - 1 {
			all = append(all, held(t, l, 1))
		}
		for range 30 {
			time.Sleep(time.Second)
			if got := remaining(t, l); got != 0 {
				t.Fatalf("%v: %d places are free beside %d of %d", time.Since(s.began), got, n, n)
			}
		}
		for _, h := range all {
			h.Release(t.Context())
		}
		if got := remaining(t, l); got != n {
			t.Errorf("%d places are left at the end", got)
		}
	})
}

// TestYoungHoldsAreRenewedFirst: they have 1 to 2 seconds, the others 10 to 20.
func TestYoungHoldsAreRenewedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		var mu sync.Mutex
		young, last := map[time.Duration]int{}, time.Duration(0)
		settleNow := s.settle
		s.settle = func(ctx context.Context, all []store.Settlement) {
			mu.Lock()
			last = time.Since(s.began)
			for i := range all {
				if all[i].Renew && all[i].Names[0]%gcra.Classes == int64(gcra.Short) {
					young[last]++
				}
			}
			mu.Unlock()
			settleNow(ctx, all)
		}
		s.delay(40 * time.Millisecond)
		l := newLimiterOn(t, s, ratelimit.AtOnce(6000), ratelimit.Config{})
		var all []*ratelimit.Hold
		for range 5000 {
			all = append(all, held(t, l, 1))
		}
		time.Sleep(3050 * time.Millisecond)
		mu.Lock()
		clear(young)
		mu.Unlock()
		for range 600 {
			all = append(all, held(t, l, 1))
		}
		time.Sleep(time.Second)
		mu.Lock()
		for at, n := range young {
			if n != 600 || last <= at {
				t.Errorf("of 600 young holds among 5000, %d were renewed at %v; the last renewal was at %v", n, at, last)
			}
		}
		if len(young) == 0 {
			t.Error("no young hold was renewed")
		}
		mu.Unlock()
		for _, h := range all {
			h.Release(t.Context())
		}
	})
}

// TestCloseWaitsForOneTimeout, however many renewals are due: the store hangs.
func TestCloseWaitsForOneTimeout(t *testing.T) {
	s := newRenewing()
	hangs := make(chan struct{}, 100)
	s.settle = func(ctx context.Context, all []store.Settlement) {
		hangs <- struct{}{}
		<-ctx.Done()
		for i := range all {
			all[i].Err = ctx.Err()
		}
	}
	l := newLimiterOn(t, s, ratelimit.AtOnce(10_000), ratelimit.Config{Timeout: 300 * time.Millisecond})
	all := make([]*ratelimit.Hold, 10_000)
	for i := range all {
		all[i] = held(t, l, 1)
	}
	<-hangs
	l.Close()
	if sent := 1 + len(hangs); sent > 16 { // 8 are in flight
		t.Errorf("%d batches were renewed before Close returned", sent)
	}
	runtime.KeepAlive(all)
}

// TestLostRenewals: two in a row are survived, whether they were executed or not.
func TestLostRenewals(t *testing.T) {
	for _, executed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newRenewing()
			s.fail(executed, func(n int) bool { return n%3 != 0 })
			l := newLimiterOn(t, s, ratelimit.PerSecond(100), ratelimit.Config{})
			h := held(t, l, 40)
			for range 60 {
				time.Sleep(time.Second)
				if got := remaining(t, l); got > 60 {
					t.Fatalf("executed: %v; after %v, %d are left beside a hold of 40", executed, time.Since(s.began), got)
				}
			}
			settle(t, h, 10)
			time.Sleep(30 * time.Second)
			if got := remaining(t, l); got != 100 {
				t.Errorf("executed: %v; settled, %d are left", executed, got)
			}
		})
	}
}

func TestCheckReportsLostRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		s.fail(false, func(n int) bool { return n <= 2 })
		l := newLimiterOn(t, s, ratelimit.PerSecond(100), ratelimit.Config{})
		h := held(t, l, 40)
		warned := func() bool {
			return strings.Contains(strings.Join(l.Check(t.Context()).Warnings, ""), "the renewal of holds failed 2 times in a row")
		}
		time.Sleep(time.Second)
		if !warned() {
			t.Error("Check does not warn")
		}
		time.Sleep(time.Second)
		if warned() {
			t.Error("Check warns after a renewal")
		}
		h.Cancel(t.Context())
	})
}

// TestSettleDuringRenewal waits for the new name.
func TestSettleDuringRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		settleNow := s.settle
		s.settle = func(ctx context.Context, all []store.Settlement) {
			settleNow(ctx, all)
			if all[0].Renew {
				time.Sleep(20 * time.Millisecond) // the answer is on its way
			}
		}
		l := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{})
		h := held(t, l, 40)
		time.Sleep(410 * time.Millisecond)
		settle(t, h, 10)
		if got := remaining(t, l); got != 90 {
			t.Errorf("%d are left", got)
		}
	})
}

// TestRenewalsEnd when no hold is out, and come back. The parts of a limiter share them.
func TestRenewalsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newRenewing()
		l := newLimiterOn(t, s, ratelimit.PerDay(1000), ratelimit.Config{})
		part, err := l.With(ratelimit.AtOnce(5))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			first, second := held(t, l, 10), held(t, part, 10)
			time.Sleep(5 * time.Second)
			if b, _ := s.noted(); len(b) != 2*(i+1) || b[2*i] != 2 || b[2*i+1] != 2 {
				t.Errorf("two holds were renewed in batches of %v", b)
			}
			settle(t, first, 10)
			settle(t, second, 10)
			time.Sleep(20 * time.Second)
		}
		if got := remaining(t, l); got != 940 {
			t.Errorf("%d are left", got)
		}
		_, at := s.noted()
		for i := range at {
			if want := []time.Duration{400 * time.Millisecond, 3400 * time.Millisecond}[i%2]; at[i]%(25*time.Second) != want {
				t.Errorf("renewed at %v", at)
			}
		}
	})
}

// TestClose ends the renewals and nothing else: a hold ends with its slot, and is charged.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiterOn(t, newRenewing(), policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(10)), ratelimit.Config{})
		l.Close() // before there is anything to close
		l.Close()
		l = newLimiterOn(t, newRenewing(), policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(10)), ratelimit.Config{})
		held(t, l, 40)
		settled := held(t, l, 20)
		time.Sleep(5 * time.Second)
		l.Close()
		l.Close()
		settle(t, settled, 5)
		settle(t, held(t, l, 10), 5)
		held(t, l, 10)
		left := func() [2]int {
			r := peek(t, l, "k")
			if r.Limit().Concurrent {
				return [2]int{r.State(1).Remaining, r.State(0).Remaining}
			}
			return [2]int{r.State(0).Remaining, r.State(1).Remaining}
		}
		if got := left(); got != [2]int{40, 8} {
			t.Errorf("right after Close %v are left", got)
		}
		time.Sleep(2 * time.Second)
		if got := left(); got != [2]int{40, 9} {
			t.Errorf("2 seconds after Close %v are left", got)
		}
		time.Sleep(18 * time.Second)
		if got := left(); got != [2]int{40, 10} {
			t.Errorf("20 seconds after Close %v are left", got)
		}
	})
}

// TestForgottenHoldEnds: one that the program has dropped is not renewed for ever.
func TestForgottenHoldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiterOn(t, newRenewing(), policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(10)), ratelimit.Config{})
		held(t, l, 40)
		kept := held(t, l, 20)
		for range 30 {
			time.Sleep(time.Second)
			runtime.GC()
		}
		if r := peek(t, l, "k"); r.State(0).Remaining != 9 || r.State(1).Remaining != 40 {
			t.Errorf("beside one hold of 20, %d places and %d tokens are left", r.State(0).Remaining, r.State(1).Remaining)
		}
		kept.Cancel(t.Context())
	})
}

// TestHoldsUnderLoad: at no instant is more held than the limit has, and nothing is at the end.
func TestHoldsUnderLoad(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(100_000), ratelimit.AtOnce(8)), ratelimit.Config{})
	var running, most, charged int
	var mu sync.Mutex
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			for i := range 300 {
				h, err := l.Hold(t.Context(), "k", 5)
				if err != nil {
					t.Error(err)
					return
				}
				if !h.Result().Allowed {
					continue
				}
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				if i%50 == 0 {
					time.Sleep(time.Millisecond)
				}
				mu.Lock()
				running--
				charged += i % 8
				mu.Unlock()
				settle(t, h, i%8)
			}
		})
	}
	wait.Wait()
	r := peek(t, l, "k")
	if r.State(0).Remaining != 8 || r.State(1).Remaining < 100_000-charged || r.State(1).Remaining > 100_000-charged+100 || most > 8 || most < 2 {
		t.Errorf("%d places and %d tokens are left of 8 and 100000 after %d were charged; %d calls ran at once", r.State(0).Remaining, r.State(1).Remaining, charged, most)
	}
}
