package ratelimit_test

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestChecksLeaveTheRoomToCallers: the probe of a full store shares buckets with
// new keys. However often it comes, it takes nothing from them.
func TestChecksLeaveTheRoomToCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no time passes, and nothing is paid back
		l := newLimiterOn(t, memstore.New(memstore.Config{MaxKeys: 10}), ratelimit.PerHour(1000), ratelimit.Config{})
		for i := range 10 {
			allow(t, l, "customer "+strconv.Itoa(i), 1)
		}
		for range 600 {
			if h := l.Check(t.Context()); h.Status != ratelimit.StatusOK {
				t.Fatalf("%+v", h)
			}
		}
		for i := range 200 {
			if r := peek(t, l, "new "+strconv.Itoa(i)); r.Remaining != 1000 {
				t.Errorf("new key %d has %d tokens left, want 1000", i, r.Remaining)
			}
		}
	})
}

// TestCheckInAFlood: newcomers who fill the store while it is tried, and take the
// probe's place after its reset, do not make a sound store a failed one: a load
// balancer would take the program out.
func TestCheckInAFlood(t *testing.T) {
	for _, flooded := range []string{"before the second call", "before the reset", "before the third call"} {
		synctest.Test(t, func(t *testing.T) {
			// The overflow buckets of the same refill as the probe's are those that it shares.
			hourly, tens := policyOf(t, ratelimit.PerHour(1000)), policyOf(t, ratelimit.Limit{Rate: 1, Period: 10 * time.Second})
			s := memstore.New(memstore.Config{MaxKeys: 10})
			take := func(key string, p *ratelimit.Policy, n int) {
				if _, err := s.Take(t.Context(), ratelimit.Request{Key: key, Policy: p, Cost: n}); err != nil {
					t.Error(err)
				}
			}
			for i := range 9 { // the last place is the probe's
				take("customer "+strconv.Itoa(i), hourly, 900)
			}
			flood := func(when string) {
				for i := 0; when == flooded && i < 1000; i++ {
					take(when+strconv.Itoa(i), tens, 1)
				}
			}
			between := newFaultyStore()
			between.take = func(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
				switch between.takes {
				case 2:
					flood("before the second call")
				case 3:
					flood("before the third call")
				}
				return s.Take(ctx, r)
			}
			between.reset = func(ctx context.Context, key string, p *ratelimit.Policy) error {
				flood("before the reset")
				return s.Reset(ctx, key, p)
			}
			l := newLimiterOn(t, between, hourly, ratelimit.Config{})
			if h := l.Check(t.Context()); h.Status != ratelimit.StatusOK || between.takes < 2 {
				t.Errorf("flooded %s: %+v after %d decisions", flooded, h, between.takes)
			}
		})
	}
}

// TestClassIsFitForALabel: a class is a word that the store documents, or "other".
// Whatever else a store puts there would be a label, or a key in one.
func TestClassIsFitForALabel(t *testing.T) {
	const key = "sk-live-5f0e2d"
	long := strings.Repeat("x", 32)
	for _, test := range []struct{ class, want string }{
		{"loading", "loading"},
		{"http-503", "http-503"},
		{"az09-", "az09-"},
		{"a`", ratelimit.ClassOther},
		{"a{", ratelimit.ClassOther},
		{"a/", ratelimit.ClassOther},
		{"a:", ratelimit.ClassOther},
		{long, long},
		{long + "x", ratelimit.ClassOther},
		{"", ratelimit.ClassOther},
		{"Loading", ratelimit.ClassOther},
		{"no node", ratelimit.ClassOther},
		{"lädt", ratelimit.ClassOther},
		{"a\nb", ratelimit.ClassOther},
		{key, ratelimit.ClassOther},
		{"redis-" + key, ratelimit.ClassOther},
	} {
		s := newFaultyStore()
		s.take = func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, &ratelimit.StoreError{Class: test.class, Err: errDown}
		}
		for _, store := range []ratelimit.Store{s, selfTimedStore{s}} {
			_, err := newLimiterOn(t, store, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
			if got := ratelimit.ErrorClass(err); got != test.want || holds(renderings(t, err), key) {
				t.Errorf("class %q became %q in %v, want %q", test.class, got, err, test.want)
			}
		}
	}
}

// silentError holds a key, and does not tell it.
type silentError struct{ Key string }

func (silentError) Error() string { return "no such key" }

// TestStoreErrorPrintsItsText: an error whose text is harmless stays in the chain.
// No verb digs its fields out.
func TestStoreErrorPrintsItsText(t *testing.T) {
	const key = "canary-5f0e2d"
	s := newFaultyStore()
	s.take = func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
		return ratelimit.Decision{}, silentError{key}
	}
	_, err := newLimiterOn(t, s, ratelimit.PerSecond(5), ratelimit.Config{}).Allow(t.Context(), key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got, want := fmt.Sprintf(verb, err), "ratelimit: the store could not decide (other): no such key"; got != want {
			t.Errorf("%s prints %s, want %s", verb, got, want)
		}
	}
}

// chainError is an error that wraps another one, if it is not nil itself.
type chainError struct{ inner error }

func (*chainError) Error() string   { return "the look-up failed" }
func (e *chainError) Unwrap() error { return e.inner }

// TestErrorClassOfABrokenChain: a typed nil that can say what it is, and panics when
// asked what it wraps, is counted all the same.
func TestErrorClassOfABrokenChain(t *testing.T) {
	l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return nil, (*chainError)(nil)
	}), ratelimit.Config{})
	r, err := l.Allow(t.Context(), "canary")
	if got := ratelimit.ErrorClass(err); err == nil || got != ratelimit.ClassPanic || r.Allowed {
		t.Errorf("%+v, %v of class %q; want class %q", r, err, got, ratelimit.ClassPanic)
	}
}

// TestKnownBeyondAllNumbers: the largest debt that can be told is no small one, and
// a bucket that was full an age ago is full.
func TestKnownBeyondAllNumbers(t *testing.T) {
	b := bucketOf(t, ratelimit.PerSecond(3))
	largest := ratelimit.Debt{Micros: math.MaxInt64, Frac: math.MaxUint32}
	if got := b.Merge(ratelimit.Debt{}, ratelimit.Known{Debt: largest}, 1000); got != b.Capacity() {
		t.Errorf("the largest debt became %+v, want the capacity", got)
	}
	for _, past := range []ratelimit.TAT{{Micros: math.MinInt64, Den: 3}, {Micros: math.MinInt64, Frac: 1, Den: 7}} {
		if got, clamped := b.DebtAt(past, math.MaxInt64); got != (ratelimit.Debt{}) || clamped {
			t.Errorf("%+v is a debt of %+v, clamped %v; want none", past, got, clamped)
		}
		if got := b.Merge(ratelimit.Debt{}, ratelimit.Known{Debt: largest, TAT: past}, 1000); got != (ratelimit.Debt{}) {
			t.Errorf("known to have been full at %+v: a debt of %+v, want none", past, got)
		}
	}
}

// TestRemainingCarries: the room is 2^64 parts of a microsecond, so that its fraction
// carries into the upper half of the product.
func TestRemainingCarries(t *testing.T) {
	const rate, num = 1<<31 - 1, 1_000_000 // a prime: T is num/rate microseconds
	wide := int64(18_446_744_073_709 + 5)  // 2^64/num, and some
	burst := int(wide)
	if int64(burst) != wide {
		t.Skip("an int cannot hold this burst")
	}
	b := policyOf(t, ratelimit.PerSecond(rate).WithBurst(burst)).Bucket(0)
	parts := new(big.Int).Mul(big.NewInt(int64(burst)), big.NewInt(num))
	parts.Sub(parts, new(big.Int).Lsh(big.NewInt(1), 64))
	micros, frac := new(big.Int).QuoRem(parts, big.NewInt(rate), new(big.Int))
	if got := b.Remaining(ratelimit.Debt{Micros: micros.Int64(), Frac: uint32(frac.Int64())}); got != burst-5 {
		t.Errorf("%d tokens remain, want %d", got, burst-5)
	}
}

// TestMergeOfABrokenFraction: a fraction that no bucket can have is rounded up.
func TestMergeOfABrokenFraction(t *testing.T) {
	p, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: 7, Period: time.Hour, Burst: 100})
	if err != nil {
		t.Fatal(err)
	}
	b := p.Bucket(0)
	for _, frac := range []uint32{7, 50} {
		got := b.Merge(ratelimit.Debt{}, ratelimit.Known{Debt: ratelimit.Debt{Micros: 1e9}, TAT: ratelimit.TAT{Micros: 1000 + 5e8, Frac: frac, Den: 7}}, 1000)
		if want := (ratelimit.Debt{Micros: 5e8 + 1}); got != want {
			t.Errorf("a fraction of %d/7: %+v; want %+v", frac, got, want)
		}
	}
}
