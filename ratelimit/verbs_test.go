package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

func TestPeekN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, policyOf(t, ratelimit.PerMinute(60), ratelimit.AtOnce(2)), ratelimit.Config{})
		settle(t, held(t, l, 50), 50)
		for n, want := range map[int]time.Duration{0: 0, 10: 0, 11: time.Second, 60: 50 * time.Second, 61: gcra.Never} {
			r, err := l.PeekN(t.Context(), "k", n)
			if err != nil || r.Allowed != (want == 0) || r.RetryAfter() != want || r.Cost() != n {
				t.Errorf("a cost of %d beside 50 of 60 is answered with %v, %v, %v; the wait should be %v", n, r.Allowed, r.RetryAfter(), err, want)
			}
		}
		if _, err := l.PeekN(t.Context(), "k", -1); !errors.As(err, new(*ratelimit.LimitError)) {
			t.Errorf("a cost of -1 is answered with %v", err)
		}
	})
}

func allowUpTo(t *testing.T, l *ratelimit.Limiter, n int) ratelimit.Result {
	t.Helper()
	r, err := l.AllowUpTo(t.Context(), "k", n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAllowUpTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerMinute(60), ratelimit.PerDay(1000).Named("daily"), ratelimit.PerDay(50).Named("watched").Shadowed())
		l := newLimiter(t, p, ratelimit.Config{})
		for i, want := range []int{40, 20, 0} {
			r := allowUpTo(t, l, 40)
			if r.Granted() != want || r.Allowed != (want > 0) {
				t.Errorf("call %d gets %d, and should get %d", i, r.Granted(), want)
			}
			if want == 0 && (r.RetryAfter() != time.Second || r.Cost() != 1) {
				t.Errorf("call %d waits %v for %d", i, r.RetryAfter(), r.Cost())
			}
			if s, _ := r.ShadowState(0); want > 0 && (s.Undecided || s.Violated != (want == 20) || s.Remaining != 10) {
				t.Errorf("call %d is watched by %+v", i, s)
			}
		}
		time.Sleep(3 * time.Second)
		r := allowUpTo(t, l, math.MaxInt)
		if r.Granted() != 3 || r.Cost() != 3 || r.Remaining() != 0 {
			t.Errorf("after 3 seconds it gets %d", r.Granted())
		}
		r = peek(t, l, "k")
		if got := r.State(1); got.Limit.Name != "daily" || got.Remaining != 937 {
			t.Errorf("the other limit: %+v", got)
		}
	})
}

func TestAllowUpToRejects(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(60), ratelimit.AtOnce(2)), ratelimit.Config{})
	for n, want := range map[int]string{0: "n 0 must be at least 1", -1: "n -1 must be", 1: "Limiter.Hold"} {
		if r, err := l.AllowUpTo(t.Context(), "k", n); r.Allowed || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("up to %d: %v, %v", n, r.Allowed, err)
		}
	}
}

// TestAllowUpToInShadowMode grants all of it.
func TestAllowUpToInShadowMode(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(60), ratelimit.Config{Shadow: true})
	for i := range 3 {
		if r := allowUpTo(t, l, 50); r.Granted() != 50 || r.WouldDeny() != (i == 2) {
			t.Errorf("call %d gets %d; would be denied: %v", i, r.Granted(), r.WouldDeny())
		}
	}
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, errors.New("down")
	}
	l = newLimiterOn(t, s, ratelimit.PerDay(60), ratelimit.Config{Shadow: true})
	if r, err := l.AllowUpTo(t.Context(), "k", 50); err == nil || r.Granted() != 50 {
		t.Errorf("after a fault it gets %d, %v", r.Granted(), err)
	}
	if r := allowUpTo(t, newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}), 50); r.Granted() != 50 {
		t.Errorf("an exempt key gets %d", r.Granted())
	}
}

func TestCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerMinute(60), ratelimit.PerDay(1000).Named("daily").Shadowed(), ratelimit.AtOnce(2))
		l := newLimiter(t, p, ratelimit.Config{})
		charge := func(n, want int) {
			t.Helper()
			if got, err := l.Charge(t.Context(), "k", n); got != want || err != nil {
				t.Errorf("a charge of %d charges %d, %v; want %d", n, got, err, want)
			}
		}
		wait := func(want time.Duration) {
			t.Helper()
			if r := peek(t, l, "k"); r.RetryAfter() != want {
				t.Errorf("the wait is %v, not %v", r.RetryAfter(), want)
			}
		}
		charge(0, 0)
		charge(50, 50)
		wait(0)
		charge(50, 50)
		wait(41 * time.Second)
		charge(50, 20) // no more than two bursts are owed
		wait(61 * time.Second)
		charge(math.MaxInt, 0)
		wait(61 * time.Second)
		time.Sleep(61 * time.Second)
		wait(0)
		r := peek(t, l, "k")
		if s, _ := r.ShadowState(0); s.Undecided || s.Remaining != 0 {
			t.Errorf("the shadow limit: %+v", s)
		}
		r = held(t, l, 1).Result()
		if s := r.State(1); s.Remaining != 1 {
			t.Errorf("a charge takes a place: %+v", s)
		}
	})
}

func TestChargeRejects(t *testing.T) {
	for name, test := range map[string]struct {
		on     store.Store
		limits ratelimit.Limits
		n      int
		want   string
	}{
		"negative":  {newHolder(), ratelimit.PerDay(1), -1, "n -1 must be at least 0"},
		"no holder": {newFaultyStore(), ratelimit.PerDay(1), 1, "store must be a store.Holder whose Holds reports true, such as a memstore.Store, to charge tokens whether they fit or not"},
		"no limits": {newHolder(), ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, errors.New("lost") }), 1, "lost"},
	} {
		got, err := newLimiterOn(t, test.on, test.limits, ratelimit.Config{}).Charge(t.Context(), "k", test.n)
		if got != 0 || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, limits := range []ratelimit.Limits{ratelimit.Unlimited, ratelimit.AtOnce(3)} {
		if got, err := newLimiter(t, limits, ratelimit.Config{}).Charge(t.Context(), "k", 5); got != 0 || err != nil {
			t.Errorf("%v: %d, %v", limits, got, err)
		}
	}
	if _, err := new(ratelimit.Limiter).Charge(t.Context(), "k", 1); !errors.As(err, new(*ratelimit.LimitError)) {
		t.Errorf("the zero Limiter: %v", err)
	}
}

func TestWaitN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, policyOf(t, ratelimit.PerMinute(60), ratelimit.PerDay(1000).Named("daily")), ratelimit.Config{})
		start := time.Now()
		for i, want := range []time.Duration{0, 20 * time.Second, 60 * time.Second} {
			if err := l.WaitN(t.Context(), "k", 40); err != nil || time.Since(start) != want {
				t.Errorf("call %d of 40 comes after %v, %v; want %v", i, time.Since(start), err, want)
			}
		}
		err := l.WaitN(t.Context(), "k", 61)
		if fault, ok := errors.AsType[*ratelimit.LimitError](err); !ok || fault.Field != "n" || fault.Limit != "default" || !strings.Contains(err.Error(), "at most 60") || !strings.Contains(err.Error(), "WaitInParts") {
			t.Errorf("61 of 60: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		before := time.Now()
		if err := l.WaitN(ctx, "k", 40); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) != 0 {
			t.Errorf("it waits %v in vain, %v", time.Since(before), err)
		}
		if err := l.WaitN(t.Context(), "k", -1); !errors.As(err, new(*ratelimit.LimitError)) {
			t.Errorf("-1: %v", err)
		}
	})
}

// TestWaitInParts takes as long as the tokens take to come, in few decisions.
func TestWaitInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		l := newLimiterOn(t, s, policyOf(t, ratelimit.PerMinute(60), ratelimit.PerDay(10_000).Named("daily")), ratelimit.Config{})
		start := time.Now()
		taken, err := l.WaitInParts(t.Context(), "k", 300)
		if took := time.Since(start); taken != 300 || err != nil || took != 240*time.Second {
			t.Errorf("300 tokens at 1/s of a burst of 60: %d after %v, %v", taken, took, err)
		}
		if s.takes > 2*240/30+2 {
			t.Errorf("%d decisions", s.takes)
		}
		if r := peek(t, l, "k"); r.RetryAfter() != time.Second || r.State(1).Remaining != 9727 { // 27 have come back
			t.Errorf("%v, %+v", r.RetryAfter(), r.State(1))
		}
	})
}

func TestWaitInPartsEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.PerMinute(60), ratelimit.Config{})
		allow(t, l, "k", 30)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		taken, err := l.WaitInParts(ctx, "k", 131)
		if taken != 0 || !errors.Is(err, context.DeadlineExceeded) || remaining(t, l) != 30 {
			t.Errorf("131 tokens, and 101 of them must come in 100 s: %d, %v", taken, err)
		}
		if taken, err := l.WaitInParts(ctx, "k", 130); taken != 130 || err != nil {
			t.Errorf("130 tokens: %d, %v", taken, err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(45*time.Second, cancel)
		if taken, err := l.WaitInParts(canceled, "k", 1000); taken != 31 || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled after 45 s: %d, %v", taken, err)
		}
		if got := remaining(t, l); got != 14 {
			t.Errorf("%d are left", got)
		}
		for _, n := range []int{0, -1} {
			if taken, err := l.WaitInParts(t.Context(), "k", n); taken != 0 || (err != nil) != (n < 0) {
				t.Errorf("%d: %d, %v", n, taken, err)
			}
		}
	})
}

// TestWaitInPartsUnenforced: in shadow mode, and of an exempt key, all tokens are there.
func TestWaitInPartsUnenforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		down := newFaultyStore()
		down.take = func(context.Context, store.Request) (store.Decision, error) {
			return store.Decision{}, errors.New("down")
		}
		for name, l := range map[string]*ratelimit.Limiter{
			"shadow": newLimiter(t, ratelimit.PerMinute(60), ratelimit.Config{Shadow: true}),
			"exempt": newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}),
			"down":   newLimiterOn(t, down, ratelimit.PerMinute(60), ratelimit.Config{Shadow: true}),
		} {
			if taken, err := l.WaitInParts(ctx, "k", 1000); taken != 1000 || err != nil {
				t.Errorf("%s: %d, %v", name, taken, err)
			}
		}
		l := newLimiterOn(t, down, ratelimit.PerMinute(60), ratelimit.Config{})
		if taken, err := l.WaitInParts(ctx, "k", 1000); taken != 0 || !strings.Contains(err.Error(), "down") {
			t.Errorf("down: %d, %v", taken, err)
		}
	})
}
