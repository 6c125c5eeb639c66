package redisstore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// An airport records flights, and lets them land when the test says so.
type airport struct {
	flights flights
	desk    desk
	land    chan struct{} // one for each flight; closed: at once

	mu      sync.Mutex
	flown   [][]int // the costs, by which a call is known: it is used again afterwards
	inAir   int
	highest int
}

func newAirport() *airport {
	a := &airport{land: make(chan struct{})}
	a.flights.fly = a.fly
	return a
}

func (a *airport) fly(_ context.Context, calls []*call) {
	a.mu.Lock()
	var costs []int
	for _, c := range calls {
		costs = append(costs, c.request.Cost)
	}
	a.flown = append(a.flown, costs)
	a.inAir++
	a.highest = max(a.highest, a.inAir)
	a.mu.Unlock()
	<-a.land
	a.mu.Lock()
	a.inAir--
	a.mu.Unlock()
	for _, c := range calls {
		c.decide(ratelimit.Decision{Allowed: true, Now: int64(c.request.Cost)})
	}
}

// sizes returns how many calls each flight took, in the order of departure.
func (a *airport) sizes() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	var n []int
	for _, calls := range a.flown {
		n = append(n, len(calls))
	}
	return n
}

// take makes a call of cost n, which its decision repeats.
func (a *airport) take(ctx context.Context, n int, timeout time.Duration) (ratelimit.Decision, error) {
	return a.flights.take(ctx, a.desk.call(ctx, ratelimit.Request{Policy: ratelimit.Unlimited, Cost: n, Timeout: timeout}, ""))
}

// fill has all flights in the air, with calls of cost 0, 1 and so on.
func (a *airport) fill(t *testing.T, wg *sync.WaitGroup) {
	t.Helper()
	for i := range maxFlights {
		wg.Go(func() { _, _ = a.take(t.Context(), i, time.Minute) })
	}
	synctest.Wait()
}

// idle fails unless nothing is left behind.
func (a *airport) idle(t *testing.T) {
	t.Helper()
	a.flights.mu.Lock()
	defer a.flights.mu.Unlock()
	if a.flights.inAir != 0 || len(a.flights.queue) != 0 {
		t.Errorf("%d flights are in the air and %d calls wait; want none", a.flights.inAir, len(a.flights.queue))
	}
}

// TestAloneAtOnce: a lone call flies at once, on the goroutine of its caller, with
// the caller's context and its own deadline.
func TestAloneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type mark struct{}
		ctx := context.WithValue(t.Context(), mark{}, "mine")
		var f flights
		goroutines := runtime.NumGoroutine()
		f.fly = func(ctx context.Context, calls []*call) {
			if ctx.Value(mark{}) != "mine" {
				t.Error("the flight has lost its caller's context")
			}
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 70*time.Millisecond {
				t.Errorf("the flight's deadline is in %v, %v; want 70ms", time.Until(end), ok)
			}
			if n := runtime.NumGoroutine(); n != goroutines {
				t.Errorf("%d goroutines; want %d", n, goroutines)
			}
			calls[0].decide(ratelimit.Decision{Allowed: true})
		}
		for range 10 {
			c := new(desk).call(ctx, ratelimit.Request{Policy: ratelimit.Unlimited, Timeout: 70 * time.Millisecond}, "")
			if d, err := f.take(ctx, c); !d.Allowed || err != nil {
				t.Errorf("%+v, %v", d, err)
			}
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		f.fly = func(ctx context.Context, calls []*call) {
			<-ctx.Done()
			calls[0].fail(failure(ctx.Err()))
		}
		start := time.Now()
		_, err := f.take(short, new(desk).call(short, ratelimit.Request{Policy: ratelimit.Unlimited}, ""))
		if ratelimit.ErrorClass(err) != ratelimit.ClassTimeout || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v; want a timeout after 1ms", err, time.Since(start))
		}
	})
}

// TestGathering: while all flights are in the air calls gather, and the first that
// lands takes them along, at most maxCalls, in the order in which they came.
func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport()
		const callers = maxFlights + maxCalls + 10
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if d, err := a.take(t.Context(), i, time.Minute); err != nil || d.Now != int64(i) {
					t.Errorf("call %d: %+v, %v", i, d, err)
				}
			})
			synctest.Wait() // in this order
		}
		for want := range callers - maxFlights {
			if got := a.flights.queue[want].request.Cost; got != want+maxFlights {
				t.Fatalf("place %d of the queue has call %d", want, got)
			}
		}
		for range callers {
			a.land <- struct{}{}
			synctest.Wait()
			if n := len(a.sizes()); n == maxFlights+2 {
				break
			}
		}
		close(a.land)
		wg.Wait()
		synctest.Wait()
		want := []int{1, 1, 1, 1, maxCalls, 10}
		got := a.sizes()
		if len(got) != len(want) || got[4] != maxCalls || got[5] != 10 {
			t.Errorf("the flights took %v calls; want %v", got, want)
		}
		for i, cost := range a.flown[4] {
			if cost != i+maxFlights {
				t.Errorf("place %d of the fifth flight has call %d", i, cost)
			}
		}
		if a.highest != maxFlights {
			t.Errorf("%d flights were in the air at once; want %d", a.highest, maxFlights)
		}
		a.idle(t)
	})
}

// TestGiveUpWaiting: whoever gives up before departure is not taken along, and the
// others are.
func TestGiveUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport()
		var wg sync.WaitGroup
		a.fill(t, &wg)
		cancelled, cancel := context.WithCancel(t.Context())
		for _, test := range []struct {
			name  string
			ctx   context.Context
			after time.Duration
			class string
		}{
			{"by its own timeout", t.Context(), 20 * time.Millisecond, ratelimit.ClassTimeout},
			{"by its context", cancelled, 10 * time.Millisecond, ratelimit.ClassCanceled},
		} {
			wg.Go(func() {
				start := time.Now()
				_, err := a.take(test.ctx, 1000, 20*time.Millisecond)
				if ratelimit.ErrorClass(err) != test.class || time.Since(start) != test.after {
					t.Errorf("%s: %v after %v; want class %s after %v", test.name, err, time.Since(start), test.class, test.after)
				}
				if !errors.Is(err, errQueued) {
					t.Errorf("%s: %v; want it to say that nothing was sent", test.name, err)
				}
			})
		}
		wg.Go(func() {
			if d, err := a.take(t.Context(), 7, time.Minute); err != nil || d.Now != 7 {
				t.Errorf("who did not give up: %+v, %v", d, err)
			}
		})
		time.Sleep(10 * time.Millisecond)
		cancel()
		time.Sleep(20 * time.Millisecond)
		close(a.land)
		wg.Wait()
		synctest.Wait()
		if got := a.sizes(); len(got) != maxFlights+1 || a.flown[maxFlights][0] != 7 {
			t.Errorf("the flights took %v calls; want the last to take the one that waited", got)
		}
		a.idle(t)
	})
}

// TestAllGiveUp: a flight for which nobody is left does not depart, and its place is
// not lost.
func TestAllGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport()
		var wg sync.WaitGroup
		a.fill(t, &wg)
		for range maxCalls + 5 {
			wg.Go(func() { _, _ = a.take(t.Context(), 1, time.Millisecond) })
		}
		time.Sleep(time.Second)
		close(a.land)
		wg.Wait()
		synctest.Wait()
		if n := len(a.sizes()); n != maxFlights {
			t.Errorf("%d flights; want %d", n, maxFlights)
		}
		a.idle(t)
		if _, err := a.take(t.Context(), 1, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestGiveUpFlying: whoever gives up in the air neither cancels nor delays the others.
func TestGiveUpFlying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport()
		var until time.Time
		a.flights.fly = func(ctx context.Context, calls []*call) {
			if len(calls) > 1 {
				until, _ = ctx.Deadline()
			}
			a.fly(ctx, calls)
			if ctx.Err() != nil {
				t.Errorf("the flight's context has ended: %v", ctx.Err())
			}
		}
		var wg sync.WaitGroup
		a.fill(t, &wg)
		cancelled, cancel := context.WithCancel(t.Context())
		start := time.Now()
		for timeout, ctx := range map[time.Duration]context.Context{
			30 * time.Millisecond: t.Context(), 300 * time.Millisecond: cancelled, 900 * time.Millisecond: t.Context(),
		} {
			wg.Go(func() {
				d, err := a.take(ctx, 9, timeout)
				took := time.Since(start)
				switch timeout {
				case 30 * time.Millisecond:
					if ratelimit.ErrorClass(err) != ratelimit.ClassTimeout || took != timeout {
						t.Errorf("timeout of %v: %v after %v", timeout, err, took)
					}
				case 300 * time.Millisecond:
					if ratelimit.ErrorClass(err) != ratelimit.ClassCanceled || took != 100*time.Millisecond {
						t.Errorf("cancelled after 100ms: %v after %v", err, took)
					}
				default:
					if err != nil || d.Now != 9 || took != 200*time.Millisecond {
						t.Errorf("who did not give up: %+v, %v after %v", d, err, took)
					}
				}
			})
		}
		synctest.Wait()
		a.land <- struct{}{} // the three depart together
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		cancel()
		time.Sleep(100 * time.Millisecond)
		close(a.land)
		wg.Wait()
		synctest.Wait()
		if got := a.sizes(); len(got) != maxFlights+1 || got[maxFlights] != 3 {
			t.Fatalf("the flights took %v calls; want the last to take 3", got)
		}
		if until.Sub(start) != 900*time.Millisecond {
			t.Errorf("the flight's deadline was after %v; want that of the most patient caller, 900ms", until.Sub(start))
		}
		a.idle(t)
	})
}

// TestPanicAboard: a panic of the client, or of a hook of it, is an error of the
// calls aboard, and the next fly.
func TestPanicAboard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAirport()
		var broken atomic.Bool
		broken.Store(true)
		a.flights.fly = func(ctx context.Context, calls []*call) {
			if broken.Load() {
				<-a.land
				panic("a key: sesame")
			}
			a.fly(ctx, calls)
		}
		var wg sync.WaitGroup
		for range maxFlights + 20 {
			wg.Go(func() {
				_, err := a.take(t.Context(), 1, time.Minute)
				if ratelimit.ErrorClass(err) != ratelimit.ClassPanic {
					t.Errorf("%v; want class panic", err)
				}
			})
		}
		synctest.Wait()
		close(a.land)
		wg.Wait()
		synctest.Wait()
		a.idle(t)
		broken.Store(false)
		if _, err := a.take(t.Context(), 1, time.Second); err != nil {
			t.Error(err)
		}

		// A hook that ends the goroutine, as a test's FailNow does, costs no place either.
		a.flights.fly = func(context.Context, []*call) { runtime.Goexit() }
		for range maxFlights * 2 {
			wg.Go(func() { _, _ = a.take(t.Context(), 1, time.Minute) })
		}
		wg.Wait()
		a.idle(t)

		// Nor does one that gathered.
		land := make(chan struct{})
		var gathered atomic.Int64
		a.flights.fly = func(_ context.Context, calls []*call) {
			if len(calls) > 1 {
				gathered.Add(1)
				runtime.Goexit()
			}
			<-land
		}
		for range 4 * maxFlights {
			wg.Go(func() { _, _ = a.take(t.Context(), 1, time.Minute) })
		}
		synctest.Wait()
		close(land)
		wg.Wait()
		synctest.Wait()
		a.idle(t)
		if gathered.Load() == 0 {
			t.Error("no flight took several calls")
		}
	})
}

// TestThousandCallers: a thousand callers, some of whom give up, use no more flights
// at once than permitted, no goroutine beyond their own but for those flights, and
// each that is told of an outcome has flown exactly once.
func TestThousandCallers(t *testing.T) {
	const callers, each = 1000, 20
	var f flights
	var inAir, highest, goroutines atomic.Int64
	var mu sync.Mutex
	var desk desk
	flown := map[int]int{} // by the cost, which is another in each call
	base := runtime.NumGoroutine()
	f.fly = func(_ context.Context, calls []*call) {
		n := inAir.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		if g := int64(runtime.NumGoroutine()); g > goroutines.Load() {
			goroutines.Store(g)
		}
		mu.Lock()
		for _, c := range calls {
			flown[c.request.Cost]++
		}
		mu.Unlock()
		runtime.Gosched()
		inAir.Add(-1)
		for _, c := range calls {
			c.decide(ratelimit.Decision{Allowed: true})
		}
	}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				timeout := time.Minute
				if (i+j)%10 == 0 {
					timeout = time.Nanosecond
				}
				id := i*each + j
				c := desk.call(t.Context(), ratelimit.Request{Policy: ratelimit.Unlimited, Cost: id, Timeout: timeout}, "")
				d, err := f.take(t.Context(), c)
				mu.Lock()
				n := flown[id]
				delete(flown, id)
				mu.Unlock()
				switch {
				case n > 1:
					t.Errorf("a call has flown %d times", n)
				case err == nil && (n != 1 || !d.Allowed):
					t.Errorf("a call that has flown %d times was told %+v", n, d)
				case errors.Is(err, errQueued) && n != 0:
					t.Error("a call that was told that nothing was sent has flown")
				case err != nil && timeout == time.Minute:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if highest.Load() > maxFlights {
		t.Errorf("%d flights were in the air at once; want at most %d", highest.Load(), maxFlights)
	}
	if got := goroutines.Load(); got > int64(base+callers+maxFlights) {
		t.Errorf("%d goroutines; want at most %d callers, %d flights and %d of before", got, callers, maxFlights, base)
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > base; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left; want %d", runtime.NumGoroutine(), base)
		}
	}
	idle := func() (inAir, queued int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.inAir, len(f.queue)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		inAir, queued := idle()
		if inAir == 0 && queued == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d flights are in the air and %d calls wait; want none", inAir, queued)
		}
	}
}
