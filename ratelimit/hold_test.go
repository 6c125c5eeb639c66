package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

func hold(t testing.TB, l *ratelimit.Limiter, n int) *ratelimit.Hold {
	t.Helper()
	h, err := l.Hold(t.Context(), "k", n)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// held is hold for a call that must be admitted.
func held(t testing.TB, l *ratelimit.Limiter, n int) *ratelimit.Hold {
	t.Helper()
	h := hold(t, l, n)
	if r := h.Result(); !r.Allowed {
		t.Fatalf("a hold of %d is denied: %+v", n, r.State(0))
	}
	return h
}

func enter(t testing.TB, l *ratelimit.Limiter, n int) (ratelimit.Result, *ratelimit.Hold) {
	t.Helper()
	r, h, err := l.Enter(t.Context(), "k", n)
	if err != nil {
		t.Fatal(err)
	}
	return r, h
}

func settle(t testing.TB, h *ratelimit.Hold, actual int) {
	t.Helper()
	if err := h.Settle(t.Context(), actual); err != nil {
		t.Error(err)
	}
}

func TestHoldSettlesThePrice(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(*ratelimit.Hold)
		left int
	}{
		{"less", func(h *ratelimit.Hold) { settle(t, h, 10) }, 90},
		{"as held", func(h *ratelimit.Hold) { settle(t, h, 40) }, 60},
		{"an overrun", func(h *ratelimit.Hold) { settle(t, h, 70) }, 30},
		{"above the limit", func(h *ratelimit.Hold) { settle(t, h, 150) }, 0},
		{"nothing", func(h *ratelimit.Hold) { settle(t, h, 0) }, 100},
		{"canceled", func(h *ratelimit.Hold) { h.Cancel(t.Context()) }, 100},
		{"released", func(h *ratelimit.Hold) { h.Release(t.Context()) }, 60},
	} {
		l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
		h := held(t, l, 40)
		r := h.Result()
		if got := remaining(t, l); r.Remaining() != 60 || got != 60 || r.ResetAfter() != 0 {
			t.Errorf("%s: a hold of 40 leaves %d, and then %d, and reports %v", test.name, r.Remaining(), got, r.ResetAfter())
		}
		test.end(h)
		if got := remaining(t, l); got != test.left {
			t.Errorf("%s: %d are left, and should be %d", test.name, got, test.left)
		}
		settle(t, h, 99)
		h.Cancel(t.Context())
		h.Release(t.Context())
		if got := remaining(t, l); got != test.left {
			t.Errorf("%s, and ended again: %d are left, and should be %d", test.name, got, test.left)
		}
	}
}

// TestOverrunIsPaidLater: what is charged beyond the limit makes later calls wait.
func TestOverrunIsPaidLater(t *testing.T) {
	l := newLimiter(t, ratelimit.PerMinute(60), ratelimit.Config{})
	settle(t, held(t, l, 60), 90)
	if r := peek(t, l, "k"); r.Allowed || r.RetryAfter() < 30*time.Second || r.RetryAfter() > 31*time.Second {
		t.Errorf("after an overrun of 30 at 1/s: %v, the wait is %v", r.Allowed, r.RetryAfter())
	}
}

func TestDeniedHoldDoesNothing(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(10), ratelimit.Config{})
	held(t, l, 6)
	h := hold(t, l, 5)
	if r := h.Result(); r.Allowed || r.RetryAfter() != time.Second || r.Remaining() != 4 {
		t.Errorf("5 beside 6 of 10: %v, the wait is %v", r.Allowed, r.RetryAfter())
	}
	settle(t, h, 3)
	h.Cancel(t.Context())
	if got := remaining(t, l); got != 4 {
		t.Errorf("%d are left", got)
	}
	var none *ratelimit.Hold
	none.Cancel(t.Context())
	none.Release(t.Context())
	settle(t, none, 1)
	if none.Result().Allowed {
		t.Error("a nil Hold is allowed")
	}
}

// TestWaitForHeldTokens: the wait is the hint, but at least until what was spent leaves room,
// and at most until the call fits beside what is held.
func TestWaitForHeldTokens(t *testing.T) {
	l := newLimiter(t, ratelimit.PerMinute(60), ratelimit.Config{RetryHint: 3 * time.Second})
	allow(t, l, "k", 50)
	held(t, l, 10)
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 8: 3 * time.Second, 13: 3 * time.Second, 14: 4 * time.Second, 50: 40 * time.Second, 51: 41 * time.Second, 61: gcra.Never} {
		r := hold(t, l, n).Result()
		if got := r.RetryAfter(); r.Allowed || got != want && (got > want || got < want-time.Second) {
			t.Errorf("%d of 60 beside 50 that were spent and 10 held: %v, the wait is %v, not %v", n, r.Allowed, got, want)
		}
	}
	l = newLimiter(t, ratelimit.PerMinute(60), ratelimit.Config{RetryHint: 3 * time.Second})
	held(t, l, 60)
	for n := range 3 {
		r, err := l.PeekN(t.Context(), "k", n+1)
		if s := r.State(0); err != nil || r.Allowed || r.RetryAfter() != 3*time.Second || !s.Violated || s.RetryAfter != r.RetryAfter() {
			t.Errorf("%d beside 60 of 60 that are held: %+v, %v", n+1, s, err)
		}
	}
}

// TestHeldTokensAreNoDebt: a caller that only held tokens deny is not sent away for the hour in
// which they would come back if they were spent.
func TestHeldTokensAreNoDebt(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerHour(10_000), ratelimit.PerSecond(1_000_000).Named("second")), ratelimit.Config{})
	allow(t, l, "k", 1)
	for range 9 {
		held(t, l, 1000)
	}
	r := hold(t, l, 1000).Result()
	if s := r.State(0); r.Allowed || r.RetryAfter() > 360*time.Millisecond || s.RetryAfter != r.RetryAfter() || r.Limit().Name != "default" {
		t.Errorf("1000 of 10000 beside 9000 held and 1 spent: the wait is %v, by %q", r.RetryAfter(), r.Limit().Name)
	}
	r = hold(t, l, 1004).Result() // 5 of them do not fit: 1.8 s if the holds stay
	if s := r.State(0); r.Allowed || r.RetryAfter() != time.Second || s.RetryAfter != time.Second {
		t.Errorf("1004 beside 9000 held and 1 spent: the wait is %v", r.RetryAfter())
	}
}

// TestWaitOfAStoreBesideHeldTokens: what a store returns is certain, so the wait is never less.
func TestWaitOfAStoreBesideHeldTokens(t *testing.T) {
	for _, c := range []struct {
		held        int
		least, want time.Duration
	}{
		{100, 0, time.Second},
		{100, 300 * time.Millisecond, time.Second},
		{100, 3 * time.Second, 3 * time.Second},
		{42, 300 * time.Millisecond, 720 * time.Millisecond},
		{41, 500 * time.Millisecond, 500 * time.Millisecond},
	} {
		answer := &store.Decision{Debts: [store.MaxLimits]gcra.Debt{{Micros: 18_000_000}}, Held: [store.MaxLimits]int{c.held}, RetryAfter: c.least}
		l := newLimiterOn(t, storetest.Faulty{Answer: answer}, ratelimit.PerHour(10_000).WithBurst(100), ratelimit.Config{})
		r, err := l.AllowN(t.Context(), "k", 10)
		if s := r.State(0); err != nil || r.Allowed || r.RetryAfter() != c.want || s.RetryAfter != c.want {
			t.Errorf("50 of 100 spent, %d held, and the store returns %v: the wait is %v, %v; want %v", c.held, c.least, r.RetryAfter(), err, c.want)
		}
	}
}

func TestHoldAtOnce(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(2)), ratelimit.Config{})
	first, second := held(t, l, 10), held(t, l, 20)
	denied := hold(t, l, 1)
	r := denied.Result()
	s := r.State(0)
	if r.Allowed || r.Limit().Name != "concurrent" || r.RetryAfter() != time.Second || r.Remaining() != 0 || !s.Violated || r.State(1).Violated || s.ResetAfter != 0 {
		t.Errorf("a third call: %+v, the wait is %v", s, r.RetryAfter())
	}
	settle(t, first, 5)
	third := held(t, l, 70)
	third.Cancel(t.Context())
	second.Release(t.Context())
	if r := peek(t, l, "k"); r.State(0).Remaining != 2 || r.State(1).Remaining != 75 {
		t.Errorf("at the end %d places and %d tokens are left", r.State(0).Remaining, r.State(1).Remaining)
	}
}

// TestEnterSpendsAtOnce, and holds the place alone.
func TestEnterSpendsAtOnce(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(2)), ratelimit.Config{})
	left := func() (tokens, places int) {
		r := peek(t, l, "k")
		for i := range r.Len() {
			if s := r.State(i); s.Limit.Concurrent {
				places = s.Remaining
			} else {
				tokens = s.Remaining
			}
		}
		return tokens, places
	}
	for i, end := range []func(*ratelimit.Hold){
		func(h *ratelimit.Hold) { h.Release(t.Context()) },
		func(h *ratelimit.Hold) { h.Cancel(t.Context()) },
		func(h *ratelimit.Hold) { settle(t, h, 50) },
	} {
		r, h := enter(t, l, 10)
		if tokens, places := left(); !r.Allowed || h == nil || tokens != 90-10*i || places != 1 {
			t.Errorf("call %d: %v, %v; %d tokens and %d places are left", i, r.Allowed, h, tokens, places)
		}
		end(h)
		if tokens, places := left(); tokens != 90-10*i || places != 2 {
			t.Errorf("call %d has ended: %d tokens and %d places are left", i, tokens, places)
		}
	}
	if r, h := enter(t, l, 71); r.Allowed || h != nil {
		t.Errorf("71 of 70: %v, %v", r.Allowed, h)
	}
}

// TestEnterWithoutPlaces is AllowN, also on a store that cannot hold.
func TestEnterWithoutPlaces(t *testing.T) {
	for name, s := range map[string]store.Store{"memory": memstore.New(memstore.Config{}), "no holder": newFaultyStore()} {
		l := newLimiterOn(t, s, policyOf(t, ratelimit.PerDay(100), ratelimit.PerDay(50).Named("b")), ratelimit.Config{})
		r, h := enter(t, l, 10)
		if !r.Allowed || h != nil || r.Remaining() != 40 {
			t.Errorf("%s: %+v, %v", name, r, h)
		}
		h.Release(t.Context())
		if remaining(t, l) != 40 {
			t.Errorf("%s: it was given back", name)
		}
	}
}

func TestHoldNeedsAHolder(t *testing.T) {
	s := newFaultyStore()
	l := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{})
	h, err := l.Hold(t.Context(), "k", 1)
	if h != nil || !errors.As(err, new(*ratelimit.LimitError)) || !strings.Contains(err.Error(), "store must be a store.Holder") || s.takes != 0 {
		t.Errorf("Hold returns %v, %v after %d decisions", h, err, s.takes)
	}
}

func TestHoldRejectsNegatives(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
	if h, err := l.Hold(t.Context(), "k", -1); h != nil || !errors.As(err, new(*ratelimit.LimitError)) {
		t.Errorf("Hold of -1 returns %v, %v", h, err)
	}
	h := held(t, l, 40)
	if err := h.Settle(t.Context(), -1); !errors.As(err, new(*ratelimit.LimitError)) {
		t.Errorf("Settle of -1 returns %v", err)
	}
	settle(t, h, 10)
	if got := remaining(t, l); got != 90 {
		t.Errorf("the hold was not ended by Settle of -1, but %d are left", got)
	}
}

func TestHoldOfUnlimited(t *testing.T) {
	l := newLimiter(t, ratelimit.Unlimited, ratelimit.Config{})
	h := held(t, l, 1e9)
	settle(t, h, 1e9)
	if r, h := enter(t, l, 5); !r.Allowed || h != nil {
		t.Errorf("Enter returns %v, %v", r, h)
	}
}

// TestSettleIgnoresCancellation: a client that disconnects must not keep tokens.
func TestSettleIgnoresCancellation(t *testing.T) {
	for name, s := range map[string]store.Store{"memory": memstore.New(memstore.Config{}), "guarded": newHolder()} {
		l := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{})
		h := held(t, l, 40)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Settle(ctx, 10); err != nil || remaining(t, l) != 90 {
			t.Errorf("%s: Settle returns %v, %d are left", name, err, remaining(t, l))
		}
	}
}

// A holder is a store whose Settle a test can replace.
type holder struct {
	*faultyStore
	settle func(context.Context, []store.Settlement)
}

func newHolder() *holder {
	s := memstore.New(memstore.Config{})
	return &holder{&faultyStore{Store: s, take: s.Take}, s.Settle}
}

func (h *holder) Holds() bool                                      { return true }
func (h *holder) Settle(ctx context.Context, s []store.Settlement) { h.settle(ctx, s) }
func (h *holder) Reset(ctx context.Context, r store.Request) error { return h.Store.Reset(ctx, r) }

func TestSettleEndsInTime(t *testing.T) {
	s := newHolder()
	s.settle = func(ctx context.Context, all []store.Settlement) {
		<-ctx.Done()
		all[0].Err = ctx.Err()
	}
	l := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{Timeout: 10 * time.Millisecond})
	err := held(t, l, 40).Settle(t.Context(), 10)
	if failed, ok := errors.AsType[*store.Error](err); !ok || failed.Class != store.ClassTimeout {
		t.Errorf("Settle returns %v", err)
	}
}

// TestEndOnce: of many that end a hold at once, one does.
func TestEndOnce(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(1000), ratelimit.Config{})
	for range 50 {
		h := held(t, l, 10)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() { settle(t, h, 1) })
		}
		wait.Wait()
	}
	if got := remaining(t, l); got != 950 {
		t.Errorf("%d are left of 1000 after 50 calls of 1", got)
	}
}

func TestHoldIsObserved(t *testing.T) {
	var events []ratelimit.Event
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(1)), ratelimit.Config{Observe: func(_ context.Context, e ratelimit.Event) { events = append(events, e) }})
	h := held(t, l, 40)
	settle(t, h, 10)
	_, entered := enter(t, l, 5)
	hold(t, l, 1)
	entered.Release(t.Context())
	if _, err := l.Hold(t.Context(), "k", -1); err == nil || len(events) != 4 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, want := range []struct {
		allowed bool
		cost    int
	}{{true, 40}, {true, 5}, {false, 1}, {false, 0}} {
		if r := events[i].Result; r.Allowed != want.allowed || r.Cost() != want.cost || (events[i].Err != nil) != (i == 3) {
			t.Errorf("event %d: %+v", i, events[i])
		}
	}
}

// TestHoldInShadowMode is made and charged as usual, and admits every call.
func TestHoldInShadowMode(t *testing.T) {
	l := newLimiter(t, policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(1)), ratelimit.Config{Shadow: true})
	h := held(t, l, 40)
	denied := held(t, l, 10)
	if r := denied.Result(); !r.Shadow() || !r.WouldDeny() || r.Limit().Name != "concurrent" {
		t.Errorf("a second call: %+v", r)
	}
	denied.Cancel(t.Context())
	settle(t, h, 30)
	if r := peek(t, l, "k"); r.State(0).Remaining != 1 || r.State(1).Remaining != 70 {
		t.Errorf("%v, %v", r.State(0), r.State(1))
	}
	if report := l.ShadowReport(); report.WouldDeny != 1 || len(report.Keys) != 1 || report.Keys[0].Limit != "concurrent" || report.Keys[0].MaxRetryAfter != time.Second {
		t.Errorf("%+v", report)
	}
}

// TestFaultInShadowMode: the call is admitted all the same.
func TestHoldFaultInShadowMode(t *testing.T) {
	s := newHolder()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, errors.New("down")
	}
	h, err := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{Shadow: true}).Hold(t.Context(), "k", 1)
	if err == nil || !h.Result().Allowed {
		t.Errorf("Hold returns %v, %v", h, err)
	}
	settle(t, h, 5)
	if h, err := newLimiterOn(t, s, ratelimit.PerDay(100), ratelimit.Config{}).Hold(t.Context(), "k", 1); err == nil || h != nil {
		t.Errorf("Hold returns %v, %v", h, err)
	}
}

// TestShadowLimitsBesideHold are held, charged and settled in their own buckets.
func TestShadowLimitsBesideHold(t *testing.T) {
	p := policyOf(t, ratelimit.PerDay(100), ratelimit.AtOnce(1).Shadowed(), ratelimit.PerDay(50).Named("tokens").Shadowed())
	l := newLimiter(t, p, ratelimit.Config{})
	watched := func(r ratelimit.Result) (places, tokens ratelimit.LimitState) {
		places, _ = r.ShadowState(0)
		tokens, _ = r.ShadowState(1)
		return places, tokens
	}
	first := held(t, l, 20)
	second := held(t, l, 20) // the place is taken, the tokens are not
	third := held(t, l, 20)  // nor is there room for these
	for i, want := range []struct {
		places, tokens bool
		left           int
	}{{false, false, 30}, {true, false, 10}, {true, true, 10}} {
		places, tokens := watched([]*ratelimit.Hold{first, second, third}[i].Result())
		if places.Violated != want.places || tokens.Violated != want.tokens || tokens.Remaining != want.left || places.Undecided || want.places && places.RetryAfter != time.Second {
			t.Errorf("call %d: %+v, %+v", i, places, tokens)
		}
	}
	settle(t, second, 5)
	settle(t, first, 10)
	settle(t, third, 15)
	r := peek(t, l, "k")
	if places, tokens := watched(r); r.Remaining() != 70 || places.Remaining != 1 || tokens.Remaining != 35 {
		t.Errorf("%d of 100 are left; watched: %+v, %+v", r.Remaining(), places, tokens)
	}

	r, h := enter(t, l, 10)
	places, tokens := watched(r)
	if h == nil || places.Remaining != 0 || tokens.Remaining != 25 {
		t.Errorf("Enter: %v, %+v, %+v", h, places, tokens)
	}
	h.Release(t.Context())
	if places, tokens := watched(peek(t, l, "k")); places.Remaining != 1 || tokens.Remaining != 25 {
		t.Errorf("after Enter: %+v, %+v", places, tokens)
	}
	r = allow(t, l, "k", 1) // cannot hold a place
	if places, tokens := watched(r); !r.Allowed || !places.Undecided || tokens.Undecided {
		t.Errorf("Allow: %+v, %+v", places, tokens)
	}
}

// TestHoldPrintedWithoutKey: a log line with a hold shows no key.
func TestHoldPrintedWithoutKey(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(10), ratelimit.Config{})
	h, err := l.Hold(t.Context(), "sk-secret", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Cancel(t.Context())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, h); text != "*ratelimit.Hold" {
			t.Errorf("%s: %s", verb, text)
		}
	}
}
