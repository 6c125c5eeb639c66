package storetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

var concurrentClauses = []clause{
	{name: "ConcurrentCalls", promise: "64 concurrent callers of one key get exactly the burst, and no error", check: checkConcurrent},
	{name: "ConcurrentLimits", promise: "several limits are charged together, also under concurrent calls", check: checkConcurrentLimits},
	{name: "ConcurrentReset", promise: "concurrent calls and resets keep the bucket consistent", check: checkConcurrentReset},
	{name: "CancelledContext", promise: "a call whose context has ended is decided or fails, and is charged at most once", check: checkCancelled},
}

// callers is the number of goroutines that call at once.
const callers = 64

// together runs call on all callers at once and returns the sum of the results. If one
// returns an error, the clause ends.
func (p *probe) together(call func(caller int) (int64, error)) int64 {
	var sum atomic.Int64
	errs := make(chan error, callers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			<-start
			n, err := call(i)
			sum.Add(n)
			if err != nil {
				errs <- err
			}
		})
	}
	close(start)
	wg.Wait()
	select {
	case err := <-errs:
		p.fail("%v", err)
	default:
	}
	return sum.Load()
}

// admitted makes n calls of cost 1 and returns the number of admitted ones.
func (p *probe) admitted(key string, policy []store.Limit, n int) (admitted int64, err error) {
	for range n {
		d, err := p.try(p.ctx, store.Request{Key: key, Limits: policy, Cost: 1})
		if err != nil {
			return admitted, fmt.Errorf("take returned an error: %w", err)
		}
		if d.Allowed {
			admitted++
		}
	}
	return admitted, nil
}

func checkConcurrent(p *probe) {
	hour := policy(ratelimit.PerHour(1000))
	if n := p.together(func(int) (int64, error) { return p.admitted("one", hour, 50) }); n != 1000 {
		p.fail("%d of %d calls were admitted by a burst of 1000", n, callers*50)
	}
	p.deny("one", hour, 1)

	many := policy(ratelimit.PerHour(100))
	key := func(i int) string { return fmt.Sprintf("many %d", i%16) }
	if n := p.together(func(i int) (int64, error) { return p.admitted(key(i), many, 50) }); n != 1600 {
		p.fail("%d of %d calls were admitted by 16 keys with a burst of 100 each", n, callers*50)
	}
	// A high limit denies no call.
	far := policy(ratelimit.PerHour(1_000_000))
	if n := p.together(func(int) (int64, error) { return p.admitted("far", far, 50) }); n != callers*50 {
		p.fail("%d of %d calls were admitted by a burst of 1000000", n, callers*50)
	}
}

func checkConcurrentLimits(p *probe) {
	small, large := ratelimit.PerHour(300).Named("small"), ratelimit.PerDay(1000).Named("large")
	policies := [][]store.Limit{policy(small, large), policy(large, small), policy(large)}
	n := p.together(func(i int) (int64, error) { return p.admitted("limits", policies[i%3], 10) })
	d := p.take("limits", policies[0], 0)
	owed := d.Debts[1].Micros / 86_400_000
	if n != owed {
		p.fail("%d calls were admitted, but the limit of all of them was charged for %d", n, owed)
	}
	d = p.take("limits", policy(small), 0)
	if taken := d.Debts[0].Micros / 12_000_000; taken > 300 || n < 300 {
		p.fail("%d calls were admitted, %d of them by a limit with a burst of 300", n, taken)
	}
}

func checkConcurrentReset(p *probe) {
	hour := policy(ratelimit.PerHour(40))
	p.together(func(i int) (int64, error) {
		for range 20 {
			if i%8 == 0 {
				if err := p.store.Reset(p.ctx, store.Request{Key: "resets", Limits: hour}); err != nil {
					return 0, fmt.Errorf("reset returned an error: %w", err)
				}
				continue
			}
			d, err := p.try(p.ctx, store.Request{Key: "resets", Limits: hour, Cost: i % 3})
			if err != nil {
				return 0, fmt.Errorf("take returned an error: %w", err)
			}
			if d.Debts[0].Micros%90_000_000 != 0 || hour[0].Capacity().Less(d.Debts[0]) {
				return 0, fmt.Errorf("a debt of %d µs was returned; all debts must be whole tokens of 90 s, at most 40", d.Debts[0].Micros)
			}
		}
		return 0, nil
	})
	p.reset("resets", hour)
	p.state("after a last reset", "resets", hour, micros(0))
	p.admit("resets", hour, 40)
	p.deny("resets", hour, 1)
}

func checkCancelled(p *probe) {
	ended, cancel := context.WithCancel(p.ctx)
	cancel()
	hour := policy(ratelimit.PerHour(100))
	var failed int
	var admitted int64
	for range 20 {
		d, err := p.try(ended, store.Request{Key: "ended", Limits: hour, Cost: 2})
		switch {
		case err != nil:
			failed++
		case !d.Allowed:
			p.fail("a call was denied although there were tokens for it")
		default:
			admitted++
		}
	}
	const cost = 2 * 36_000_000 // µs
	owed := p.take("ended", hour, 0).Debts[0].Micros
	if owed < admitted*cost || owed > (admitted+int64(failed))*cost {
		p.fail("%d calls were admitted and %d failed, at 2 tokens each, but %d tokens were charged", admitted, failed, owed/36_000_000)
	}
	if err := p.store.Reset(ended, store.Request{Key: "ended", Limits: hour}); err == nil {
		p.state("after a reset that returned no error", "ended", hour, micros(0))
	}

	// Contexts that end during concurrent calls.
	n := p.together(func(i int) (int64, error) {
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		var charged int64
		for j := range 5 {
			if i%2 == 0 && j == 2 {
				cancel()
			}
			d, err := p.try(ctx, store.Request{Key: "ending", Limits: hour, Cost: 1})
			if err == nil && d.Allowed {
				charged++
			}
		}
		return charged, nil
	})
	if n > 100 {
		p.fail("%d calls were admitted by a burst of 100", n)
	}
	p.reset("ending", hour)
	p.admit("ending", hour, 100)
}

func checkConcurrentHolds(p *probe) {
	const burst = 30
	hour := policy(ratelimit.PerHour(20).WithBurst(burst))
	var out, spent atomic.Int64
	p.together(func(caller int) (int64, error) {
		for i := range 20 {
			n := 1 + (caller+i)%7
			hold := store.Hold{}
			d, err := p.try(p.ctx, store.Request{Key: "holds", Limits: hour, Cost: n, Hold: &hold})
			switch {
			case err != nil:
				return 0, fmt.Errorf("take returned an error: %w", err)
			case d.Held[0] > burst:
				return 0, fmt.Errorf("%d tokens are held of a burst of %d", d.Held[0], burst)
			case !d.Allowed:
				continue
			}
			if now := out.Add(int64(n)); now > burst {
				return 0, fmt.Errorf("%d tokens are held of a burst of %d", now, burst)
			}
			runtime.Gosched()
			actual := 0
			if caller == i {
				actual = 1 // few, so that there is always room for a hold
			}
			s := []store.Settlement{{Key: "holds", Limits: hour, Names: hold.Names, Held: n, Renew: true}}
			if i%5 == 0 {
				p.settling(s...)
			}
			s[0].Renew, s[0].Actual = false, actual
			spent.Add(int64(actual))
			out.Add(int64(-n))
			if p.settling(s...); s[0].Err != nil || s[0].Lost != 0 {
				return 0, fmt.Errorf("settle returned the error %w, and lost %d", s[0].Err, s[0].Lost)
			}
		}
		return 0, nil
	})
	p.held("after all settlements", "holds", hour, 0)
	if owed := p.take("holds", hour, 0).Debts[0].Micros / 180_000_000; owed != spent.Load() {
		p.fail("%d tokens are owed after settlements of %d", owed, spent.Load())
	}
}
