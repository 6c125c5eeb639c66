package ratelimit_test

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestWaitTakesExactlyAsLongAsTold: each call comes at the first microsecond at
// which its token is there.
func TestWaitTakesExactlyAsLongAsTold(t *testing.T) {
	for _, limit := range []ratelimit.Limit{
		{Rate: 1, Period: 1900 * time.Millisecond},
		ratelimit.PerSecond(3).WithBurst(2),
		ratelimit.PerSecond(700_001).WithBurst(2),
		ratelimit.PerHour(7),
		{Rate: 1, Period: tenYears},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, limit, ratelimit.Config{})
			p := policyOf(t, limit)
			b := &p.Compiled()[0]
			start := time.Now()
			for i := range 12 {
				if err := l.Wait(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				var want time.Duration
				if n := i + 1 - b.Burst(); n > 0 { // n tokens had to come back
					want = tokens(limit, n)
				}
				if got := time.Since(start); got != want {
					t.Fatalf("%v: call %d came after %v, want %v", limit, i, got, want)
				}
			}
		})
	}
}

func TestWaitByManyWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerSecond(5), ratelimit.Config{})
		start := time.Now()
		var mu sync.Mutex
		var wg sync.WaitGroup
		came := map[time.Duration]int{}
		for range 20 {
			wg.Go(func() {
				if err := l.Wait(t.Context(), "k"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				came[time.Since(start)]++
			})
		}
		wg.Wait()
		want := map[time.Duration]int{0: 5}
		for i := range 15 {
			want[time.Duration(i+1)*200*time.Millisecond] = 1
		}
		for at, n := range want {
			if came[at] != n {
				t.Errorf("%d calls came after %v, want %d", came[at], at, n)
			}
		}
		if len(came) != len(want) {
			t.Errorf("the calls came after %v", came)
		}
	})
}

// TestWaitForHeldTokensUntilTheDeadline: when they come back is not known, so Wait does not give
// up before its deadline, at which it asks once more.
func TestWaitForHeldTokensUntilTheDeadline(t *testing.T) {
	for _, test := range []struct {
		name          string
		spent, held   int
		n             int
		ends, timeout time.Duration // of the hold; 0: never
		ok            bool
		took          time.Duration
		err           string
		inParts       bool
	}{
		{name: "comes back before the deadline", held: 100, n: 100, ends: 200 * time.Millisecond, timeout: 500 * time.Millisecond, ok: true, took: 500 * time.Millisecond},
		{name: "comes back before the hint", held: 100, n: 100, ends: 200 * time.Millisecond, timeout: time.Hour, ok: true, took: time.Second},
		{name: "stays", held: 100, n: 100, timeout: 1500 * time.Millisecond, took: 1500 * time.Millisecond, err: "gave up waiting"},
		{name: "what was spent takes 18 s", spent: 50, held: 50, n: 100, ends: 200 * time.Millisecond, timeout: 500 * time.Millisecond, err: "the 100 tokens come in 18s, after"},
		{name: "would fit beside it in 1.8 s", spent: 45, held: 10, n: 50, ends: 200 * time.Millisecond, timeout: 500 * time.Millisecond, ok: true, took: 500 * time.Millisecond},
		{name: "fits beside it in 360 ms", spent: 46, held: 5, n: 50, timeout: 500 * time.Millisecond, ok: true, took: 360 * time.Millisecond},
		{name: "in parts", held: 100, n: 100, ends: 200 * time.Millisecond, timeout: 2 * time.Second, ok: true, took: time.Second, inParts: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimit.PerHour(10_000).WithBurst(100), ratelimit.Config{})
				defer l.Close()
				allow(t, l, "k", test.spent)
				h := held(t, l, test.held)
				if test.ends > 0 {
					time.AfterFunc(test.ends, func() { h.Cancel(t.Context()) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				start := time.Now()
				var err error
				if test.inParts {
					_, err = l.WaitInParts(ctx, "k", test.n)
				} else {
					err = l.WaitN(ctx, "k", test.n)
				}
				if took := time.Since(start); (err == nil) != test.ok || took != test.took || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("after %v: %v; want after %v: %q", took, err, test.took, test.err)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

func TestWaitDeadlineTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		l := newLimiterOn(t, s, ratelimit.PerSecond(1), ratelimit.Config{})
		allow(t, l, "k", 1)
		for _, test := range []struct {
			timeout time.Duration
			ok      bool
		}{{time.Second - 1, false}, {time.Second + 1, true}} {
			before := s.takes
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			err := l.Wait(ctx, "k")
			cancel()
			if test.ok {
				if err != nil || time.Since(start) != time.Second {
					t.Errorf("a deadline in %v: %v after %v", test.timeout, err, time.Since(start))
				}
				continue
			}
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the next token comes in 1s, after the context's deadline") {
				t.Errorf("a deadline in %v: %v", test.timeout, err)
			}
			if time.Since(start) != 0 || s.takes != before+1 {
				t.Errorf("gave up after %v and %d decisions, want at once and after one", time.Since(start), s.takes-before)
			}
		}
	})
}

// TestWaitDeadlineAtTheToken: a deadline at the very moment of the token, or right after it,
// is not too short, whichever of the two timers wakes the caller, and whether or not the
// store heeds a context that has ended by then.
func TestWaitDeadlineAtTheToken(t *testing.T) {
	heeds := func() store.Store {
		s := newFaultyStore()
		memory := memstore.New(memstore.Config{})
		s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
			if err := ctx.Err(); err != nil {
				return store.Decision{}, err
			}
			return memory.Take(ctx, r)
		}
		return s
	}
	for _, c := range []struct {
		limit ratelimit.Limit
		spare time.Duration // from the token to the deadline
		store func() store.Store
	}{
		{ratelimit.PerSecond(1), 0, func() store.Store { return memstore.New(memstore.Config{}) }},
		{ratelimit.PerSecond(1), 0, heeds},
		{ratelimit.Limit{Rate: 1, Period: 5 * time.Millisecond, Burst: 1}, 50 * time.Microsecond, heeds},
		{ratelimit.PerHour(7).WithBurst(1), 1, heeds},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiterOn(t, c.store(), c.limit, ratelimit.Config{})
			allow(t, l, "k", 1)
			for range 60 {
				start := time.Now()
				r := peek(t, l, "k")
				token := r.RetryAfter()
				ctx, cancel := context.WithDeadline(t.Context(), start.Add(token+c.spare))
				err := l.Wait(ctx, "k")
				cancel()
				if err != nil || time.Since(start) != token {
					t.Fatalf("%v, a deadline %v after the token: %v after %v, want nil after %v", c.limit, c.spare, err, time.Since(start), token)
				}
			}
		})
	}
}

// lateContext is a context that ends without a signal: only a call of Err reports it, as
// if its goroutine had been stopped meanwhile.
type lateContext struct {
	context.Context
	deadline time.Time
	err      error
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *lateContext) Done() <-chan struct{}       { return nil }
func (c *lateContext) Err() error {
	if time.Now().Before(c.deadline) {
		return nil
	}
	return c.err
}

// TestWaitAsksOnceMore: a caller who is woken when its deadline has passed is admitted if
// the token is there, and asks once. One whose context was cancelled is not charged.
func TestWaitAsksOnceMore(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error // of the context
		taken  bool  // another caller takes the token first
		admits bool
		asks   int
	}{
		{"the deadline has passed", context.DeadlineExceeded, false, true, 2},
		{"another caller had the token", context.DeadlineExceeded, true, false, 2},
		{"cancelled", context.Canceled, false, false, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			memory := memstore.New(memstore.Config{})
			s, asks := newFaultyStore(), 0
			s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
				if err := ctx.Err(); err != nil {
					return store.Decision{}, err
				}
				if asks++; asks == 2 && c.taken {
					_, _ = memory.Take(ctx, r)
				}
				return memory.Take(ctx, r)
			}
			l := newLimiterOn(t, s, ratelimit.PerSecond(1), ratelimit.Config{})
			allow(t, l, "k", 1)
			asks = 0
			start := time.Now()
			err := l.Wait(&lateContext{t.Context(), start.Add(time.Second), c.err}, "k")
			if (err == nil) != c.admits || err != nil && !errors.Is(err, c.err) || asks != c.asks || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v and %d decisions; want %d", c.name, err, time.Since(start), asks, c.asks)
			}
		})
	}
}

func TestWaitCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		l := newLimiterOn(t, s, ratelimit.PerSecond(1), ratelimit.Config{})
		allow(t, l, "k", 1)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		if err := l.Wait(ctx, "k"); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "gave up waiting") || time.Since(start) != 300*time.Millisecond {
			t.Errorf("cancelled while waiting: %v after %v", err, time.Since(start))
		}
		before := s.takes
		if err := l.Wait(ctx, "another key"); !errors.Is(err, context.Canceled) || s.takes != before {
			t.Errorf("cancelled before: %v, and the store was asked %d times", err, s.takes-before)
		}
		// Who gave up was not charged.
		time.Sleep(700 * time.Millisecond)
		if !allow(t, l, "k", 1).Allowed {
			t.Error("a Wait that gave up was charged")
		}
	})
}

// In shadow mode no caller waits.
func TestWaitInShadowMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{Shadow: true})
		start := time.Now()
		for range 3 {
			if err := l.Wait(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("waited for %v", time.Since(start))
		}
	})
}

// unguarded is a store of whose answers the limiter makes what it can.
type unguarded struct{ *faultyStore }

func (unguarded) SelfTimed() {}

// TestWaitDoesNotSpin: a store that denies and reports no wait is asked a thousand
// times in a second at most, and the context still ends it.
func TestWaitDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		s.take = func(context.Context, store.Request) (store.Decision, error) { return store.Decision{}, nil }
		l := newLimiterOn(t, unguarded{s}, ratelimit.PerSecond(1), ratelimit.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := l.Wait(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) || s.takes > 11 {
			t.Errorf("Wait: %v after %d decisions", err, s.takes)
		}
	})
}

// A shared overflow bucket may make a key wait, never for ever.
func TestWaitOnAFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiterOn(t, memstore.New(memstore.Config{MaxKeys: 1}), ratelimit.PerSecond(1), ratelimit.Config{})
		for _, key := range []string{"a", "b", "c", "d"} {
			start := time.Now()
			for range 3 {
				if err := l.Wait(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			if waited := time.Since(start); waited < 2*time.Second || waited > 8*time.Second {
				t.Errorf("%s: three calls came within %v", key, waited)
			}
		}
	})
}

// tokens returns the time in which n tokens come back, rounded up to a microsecond.
func tokens(l ratelimit.Limit, n int) time.Duration {
	micros := new(big.Int).Mul(big.NewInt(int64(n)), big.NewInt(l.Period.Microseconds()))
	whole, rest := micros.DivMod(micros, big.NewInt(int64(l.Rate)), new(big.Int))
	return time.Duration(whole.Int64()+int64(rest.Sign())) * time.Microsecond
}
