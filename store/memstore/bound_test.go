package memstore

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
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

// A lender is a store with one key, whose clock the test sets.
type lender interface {
	take(now int64, l *store.Limit, n int, hold bool) (allowed bool, name int64)
	lease(now int64, l *store.Limit, cost, n int) (allowed bool, leased int, name int64)
	settle(now int64, l *store.Limit, name int64, n, actual int) (lost int)
	renew(now int64, l *store.Limit, name int64, n int) int64
	reset(now int64, l *store.Limit)
}

// A memoryLender is the store of this package.
type memoryLender struct{ m *manual }

func (s memoryLender) take(now int64, l *store.Limit, n int, hold bool) (allowed bool, name int64) {
	s.m.now = now
	r := store.Request{Key: "k", Limits: []store.Limit{*l}, Cost: n}
	if hold {
		r.Hold = &store.Hold{}
	}
	d, _ := s.m.Take(context.Background(), r)
	if hold {
		name = r.Hold.Names[0]
	}
	return d.Allowed, name
}

func (s memoryLender) lease(now int64, l *store.Limit, cost, n int) (allowed bool, leased int, name int64) {
	s.m.now = now
	hold := store.Hold{Spend: true, Lease: n}
	d, _ := s.m.Take(context.Background(), store.Request{Key: "k", Limits: []store.Limit{*l}, Cost: cost, Hold: &hold})
	return d.Allowed, hold.Leased, hold.Names[0]
}

func (s memoryLender) send(now int64, t store.Settlement) store.Settlement {
	s.m.now = now
	t.Key = "k"
	all := []store.Settlement{t}
	s.m.Settle(context.Background(), all)
	return all[0]
}

func (s memoryLender) settle(now int64, l *store.Limit, name int64, n, actual int) (lost int) {
	return s.send(now, store.Settlement{Limits: []store.Limit{*l}, Names: [store.MaxLimits]int64{name}, Held: n, Actual: actual}).Lost
}

func (s memoryLender) renew(now int64, l *store.Limit, name int64, n int) int64 {
	return s.send(now, store.Settlement{Limits: []store.Limit{*l}, Names: [store.MaxLimits]int64{name}, Held: n, Renew: true}).Names[0]
}

func (s memoryLender) reset(now int64, l *store.Limit) {
	s.m.now = now
	s.m.reset("k", []store.Limit{*l})
}

// A bucketLender is a bucket of package gcra whose clock goes both ways.
type bucketLender struct {
	b       gcra.Bucket
	resetAt int64
}

func (s *bucketLender) take(now int64, l *store.Limit, n int, hold bool) (allowed bool, name int64) {
	spent, _, _ := s.b.Open(&l.Rate, now)
	if allowed = s.b.Room(&l.Rate, spent) >= n; !allowed {
		return false, 0
	}
	if hold {
		return true, s.b.Hold(n, now)
	}
	cost, _ := l.Cost(n)
	s.b.Spend(&l.Rate, l.Add(spent, cost), now)
	return true, 0
}

func (s *bucketLender) lease(now int64, l *store.Limit, cost, n int) (allowed bool, leased int, name int64) {
	if allowed, _ = s.take(now, l, cost, false); !allowed {
		return false, 0, 0
	}
	spent, _, _ := s.b.Open(&l.Rate, now)
	if leased = min(n, s.b.Leasable(&l.Rate, spent, 0)); leased == 0 {
		return true, 0, 0
	}
	return true, leased, s.b.Hold(leased, now)
}

func (s *bucketLender) settle(now int64, l *store.Limit, name int64, n, actual int) (lost int) {
	spent, _, _ := s.b.Open(&l.Rate, now)
	if name == 0 {
		_, lost = s.b.Charge(&l.Rate, spent, actual, now)
	} else {
		_, lost = s.b.Settle(&l.Rate, spent, name, n, actual, s.resetAt, now)
	}
	return lost
}

func (s *bucketLender) renew(now int64, l *store.Limit, name int64, n int) int64 {
	s.b.Open(&l.Rate, now)
	return s.b.Renew(name, n, now)
}

func (s *bucketLender) reset(now int64, _ *store.Limit) { s.b, s.resetAt = gcra.Bucket{}, now }

// A naiveLender takes what it lends out of the bucket, which refills to the brim meanwhile,
// and puts back what was not spent.
type naiveLender struct{ bucketLender }

func (s *naiveLender) take(now int64, l *store.Limit, n int, _ bool) (allowed bool, name int64) {
	allowed, _ = s.bucketLender.take(now, l, n, false)
	return allowed, 1
}

func (s *naiveLender) lease(now int64, l *store.Limit, cost, n int) (allowed bool, leased int, name int64) {
	allowed, name = s.take(now, l, cost+n, true)
	return allowed, n, name
}

func (s *naiveLender) settle(now int64, l *store.Limit, _ int64, n, actual int) (lost int) {
	if actual >= n {
		return s.bucketLender.settle(now, l, 0, 0, actual-n)
	}
	spent, _, _ := s.b.Open(&l.Rate, now)
	back, _ := l.Cost(n - actual)
	if spent.Less(back) {
		spent = back
	}
	s.b.Spend(&l.Rate, gcra.Debt{Micros: spent.Micros - back.Micros}, now) // whole microseconds: see boundLimits
	return 0
}

func (s *naiveLender) renew(_ int64, _ *store.Limit, name int64, _ int) int64 { return name }

// boundLimits are limits whose refill is about as long as slots, and whose T is a whole number
// of microseconds.
func boundLimits(random *rand.Rand) []store.Limit {
	limits := make([]store.Limit, 1+random.IntN(3))
	for i := range limits {
		l := ratelimit.Limit{
			Rate:   1,
			Period: []time.Duration{time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second}[random.IntN(5)],
			Burst:  1 + random.IntN(40),
		}
		p, err := ratelimit.NewPolicy(l)
		if err != nil {
			panic(err)
		}
		limits[i] = p.Compiled()[0]
	}
	return limits
}

// An openHold is what a caller holds, as the caller sees it.
type openHold struct {
	name     int64
	n        int
	deadline int64 // true time until which it may spend
	spent    int   // in time, at most n
	late     int   // after the deadline, or beyond n; the store has not heard of it
	isLate   bool  // it was renewed after its end
	void     bool  // the store cannot know of it: what it spends is pardoned
	cut      bool  // the end of its slot may be cut at two bursts
}

// followBound leads a store through a random history and checks the bound after each step.
func followBound(random *rand.Rand, s lender) (held, late, leases int, err error) {
	_, monotonic := s.(memoryLender) // its clock is never set back
	limits := boundLimits(random)
	at := 0
	l := &limits[at]
	bucket := newIdeal(l, 1_000_000_000)
	offset := int64(0)             // of the store's clock
	resetAt := int64(-1)           // by that clock, the last reset
	var open, dropped []*openHold  // those that are never settled last until their slots end
	var last []string              // steps
	steps := random.IntN(4) == 0   // of the clock
	resets := random.IntN(4) == 0  // and changes of the limit
	overruns := random.IntN(3) > 0 // and late spends
	for step := range 40 + random.IntN(160) {
		if random.IntN(3) > 0 {
			token, _ := l.Cost(1)
			bucket.advance(random.Int64N([]int64{1000, 300_000, 1_200_000, 2 * token.Micros, 12_000_000}[random.IntN(5)]+1), len(open) > 0)
		}
		now := bucket.now + offset
		var h *openHold
		which := 0
		if len(open) > 0 {
			which = random.IntN(len(open))
			h = open[which]
		}
		what := ""
		switch choice := random.IntN(24); {
		case choice < 4:
			n := 1 + random.IntN(l.Burst())
			allowed, _ := s.take(now, l, n, false)
			if allowed {
				bucket.spend(n)
			}
			what = fmt.Sprintf("take %d: %v", n, allowed)
		case choice < 8:
			n := 1 + random.IntN(l.Burst())
			allowed, name := s.take(now, l, n, true)
			if allowed {
				// A clock that was set back behind a reset makes a hold that seems to be from before it.
				open = append(open, &openHold{name: name, n: n, deadline: bucket.now + gcra.Short.Length(), void: now <= resetAt})
				held++
			}
			what = fmt.Sprintf("hold %d: %v", n, allowed)
		case choice >= 20 && choice < 22: // a lease
			cost, n := random.IntN(3)*random.IntN(l.Burst()+1)/2, 1+random.IntN(l.Burst())
			allowed, leased, name := s.lease(now, l, cost, n)
			if allowed {
				bucket.spend(cost)
			}
			if allowed && leased > 0 {
				open = append(open, &openHold{name: name, n: leased, deadline: bucket.now + gcra.Short.Length(), void: now <= resetAt})
				leases++
			}
			what = fmt.Sprintf("take %d and lease %d of %d: %v", cost, leased, n, allowed)
		case choice >= 22 && h != nil && h.n > 0: // settle a part of what is held
			n := 1 + random.IntN(h.n)
			least, most := max(h.spent-(h.n-n), 0), min(h.spent, n)
			actual := least + random.IntN(most-least+1)
			lost := s.settle(now, l, h.name, n, actual)
			bucket.report(0, lost)
			h.n, h.spent = h.n-n, h.spent-actual
			what = fmt.Sprintf("settle %d of %d, the rest is %+v: %d lost", actual, n, *h, lost)
			if h.n == 0 && h.late == 0 {
				open = append(open[:which], open[which+1:]...)
			}
		case choice < 12 && h != nil: // spend
			n := 1 + random.IntN(max(h.n, 1))
			inTime := !h.isLate && bucket.now < h.deadline && h.spent+n <= h.n
			switch {
			case !inTime && !overruns:
				continue
			case h.void:
				bucket.pardon(tokens(n))
			case !inTime:
				h.late += n
				late++
				bucket.unknown.Add(bucket.unknown, tokens(n))
			default:
				h.spent += n
			}
			bucket.spend(n)
			what = fmt.Sprintf("spend %d of %+v", n, *h)
		case choice < 15 && h != nil: // settle, or never
			if random.IntN(5) > 0 {
				lost := s.settle(now, l, h.name, h.n, h.spent+h.late)
				bucket.report(h.late, lost)
				if h.cut { // the store takes it as paid
					bucket.pardon(tokens(h.late))
				}
				what = fmt.Sprintf("settle %+v: %d lost", *h, lost)
			} else {
				dropped = append(dropped, h)
			}
			open = append(open[:which], open[which+1:]...)
		case choice < 17 && h != nil: // renew
			name := s.renew(now, l, h.name, h.n)
			if random.IntN(4) == 0 {
				what = "renew, without an answer"
				break
			}
			if h.name = name; bucket.now < h.deadline {
				h.deadline = bucket.now + gcra.Long.Length()
			} else {
				h.isLate = true
			}
			what = fmt.Sprintf("renew %+v", *h)
		case choice == 17 && overruns: // a charge of what was never held
			n := 1 + random.IntN(l.Burst())
			lost := s.settle(now, l, 0, 0, n)
			bucket.spend(n)
			bucket.unknown.Add(bucket.unknown, tokens(n))
			bucket.report(n, lost)
			what = fmt.Sprintf("charge %d: %d lost", n, lost)
		case choice == 18 && steps:
			by := random.Int64N([]int64{100_000, 2_000_000, 30_000_000}[random.IntN(3)] + 1)
			if monotonic || random.IntN(2) == 0 {
				bucket.stepped(by)
				offset += by
			} else {
				by = -min(by, now-1)
				offset += by
			}
			what = fmt.Sprintf("step the clock by %d", by)
		case choice == 19 && resets && random.IntN(2) == 0:
			s.reset(now, l)
			bucket.reset()
			resetAt = now
			for _, h := range open {
				h.late, h.void = 0, true
			}
			bucket.advance(1, true) // a name is good for the microsecond in which its slot begins
			what = "reset"
		case choice == 19 && resets:
			at = (at + 1) % len(limits)
			unspent := 0
			for _, h := range open {
				unspent += max(h.n-h.spent, 0)
			}
			l = &limits[at]
			fits := bucket.change(l, unspent)
			for _, h := range open {
				if !h.void && (!fits || h.isLate || bucket.now >= h.deadline) {
					bucket.unknown.Sub(bucket.unknown, tokens(h.late))
					bucket.pardon(tokens(h.late + h.spent))
					h.late, h.void = 0, true
				}
			}
			s.take(now, l, 0, false)
			what = fmt.Sprintf("change to %v: fits %v", l, fits)
		}
		if what == "" {
			continue
		}
		owed := new(big.Rat).Set(bucket.known) // beyond a burst, with all that is held
		dropped = slices.DeleteFunc(dropped, func(h *openHold) bool { return bucket.now > h.deadline+2*gcra.Long.Length() })
		for _, h := range slices.Concat(open, dropped) {
			owed.Add(owed, tokens(h.n))
		}
		for _, h := range slices.Concat(open, dropped) {
			h.cut = h.cut || owed.Cmp(bucket.burst) > 0
		}
		for i, h := range slices.Backward(dropped) {
			if h.cut { // what the end of its slot loses is not reported
				bucket.pardon(tokens(h.n))
				dropped = slices.Delete(dropped, i, i+1)
			}
		}
		if last = append(last, fmt.Sprintf("%d: %s", now, what)); len(last) > 15 {
			last = last[1:]
		}
		if err := bucket.check(); err != nil {
			return held, late, leases, fmt.Errorf("step %d: %w, after\n%s", step, err, strings.Join(last, "\n"))
		}
	}
	return held, late, leases, nil
}

// TestBound: what is really spent is never more than an ideal bucket allows, but for what
// callers spend beyond a hold or after its end, until it has drained, and what the store
// cannot know of.
func TestBound(t *testing.T) {
	histories := testkit.Count(2000, 100_000)
	for name, newLender := range map[string]func() lender{
		"memory": func() lender { return memoryLender{newManual(100)} },
		"bucket": func() lender { return &bucketLender{} },
	} {
		t.Run(name, func(t *testing.T) {
			broken, held, late, leases := everyBound(t, histories, newLender)
			if len(broken) > 0 {
				t.Errorf("%d histories broke the bound, such as %v", len(broken), broken[0])
			}
			if held < histories || late < histories/4 || leases < histories {
				t.Errorf("%d holds, %d late spends and %d leases; want more", held, late, leases)
			}
		})
	}
	t.Run("naive", func(t *testing.T) { // the control
		broken, _, _, _ := everyBound(t, 2000, func() lender { return &naiveLender{} })
		if len(broken) < 100 {
			t.Errorf("a store that refills what it has lent broke the bound in %d of 2000 histories; want 100 or more", len(broken))
		}
	})
}

// everyBound runs histories on all processors.
func everyBound(t *testing.T, histories int, newLender func() lender) (broken []error, held, late, leases int) {
	t.Helper()
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var next atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(histories); i = next.Add(1) - 1 {
				h, l, n, err := followBound(rand.New(rand.NewPCG(seed, uint64(i))), newLender())
				mu.Lock()
				held, late, leases = held+h, late+l, leases+n
				if err != nil {
					broken = append(broken, fmt.Errorf("history %d: %w", i, err))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("KEYRATE_SEED=%#x: %d histories, %d holds, %d late spends, %d leases, %d broken; %.1f s", seed, histories, held, late, leases, len(broken), time.Since(start).Seconds())
	return broken, held, late, leases
}
