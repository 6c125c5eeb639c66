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

	"github.com/keyrate/keyrate/store"
)

// A recorder records what a batcher sends, and lets sends end when the test says so.
type recorder struct {
	batcher batcher
	calls   sync.Pool
	end     chan struct{} // one for each send; closed: at once

	mu      sync.Mutex
	sent    [][]int // the costs, which identify the calls: a call is used again afterwards
	sends   int
	highest int
}

func newRecorder() *recorder {
	rec := &recorder{end: make(chan struct{})}
	rec.batcher.send = rec.send
	return rec
}

func (rec *recorder) send(_ context.Context, calls []*call) {
	rec.mu.Lock()
	var costs []int
	for _, c := range calls {
		costs = append(costs, c.request.Cost)
	}
	rec.sent = append(rec.sent, costs)
	rec.sends++
	rec.highest = max(rec.highest, rec.sends)
	rec.mu.Unlock()
	<-rec.end
	rec.mu.Lock()
	rec.sends--
	rec.mu.Unlock()
	for _, c := range calls {
		c.decision, c.err = store.Decision{Allowed: true, Now: int64(c.request.Cost)}, nil
	}
}

// sizes returns how many calls each send took, in order.
func (rec *recorder) sizes() []int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var n []int
	for _, calls := range rec.sent {
		n = append(n, len(calls))
	}
	return n
}

// take makes a call of cost n, which its decision repeats.
func (rec *recorder) take(ctx context.Context, n int, timeout time.Duration) (store.Decision, error) {
	o := rec.batcher.take(ctx, newCall(ctx, &rec.calls, store.Request{Limits: noLimits, Cost: n, Timeout: timeout}, noOwner))
	return o.Decision, o.err
}

// fill has maxSends under way, with calls of cost 0, 1 and so on.
func (rec *recorder) fill(t *testing.T, wg *sync.WaitGroup) {
	t.Helper()
	for i := range maxSends {
		wg.Go(func() { _, _ = rec.take(t.Context(), i, time.Minute) })
	}
	synctest.Wait()
}

// idle fails unless nothing is left behind.
func (rec *recorder) idle(t *testing.T) {
	t.Helper()
	synctest.Wait()
	rec.batcher.mu.Lock()
	defer rec.batcher.mu.Unlock()
	if rec.batcher.sends != 0 || len(rec.batcher.queue) != 0 {
		t.Errorf("%d sends are under way and %d calls are queued; want none", rec.batcher.sends, len(rec.batcher.queue))
	}
}

// TestSendAlone: a lone call is sent at once, on the goroutine of its caller, with the
// caller's context and its own deadline.
func TestSendAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type mark struct{}
		ctx := context.WithValue(t.Context(), mark{}, "mine")
		var b batcher
		goroutines := runtime.NumGoroutine()
		b.send = func(ctx context.Context, calls []*call) {
			if ctx.Value(mark{}) != "mine" {
				t.Error("the send has lost its caller's context")
			}
			if end, ok := ctx.Deadline(); !ok || time.Until(end) != 70*time.Millisecond {
				t.Errorf("the deadline of the send is in %v, %v; want 70ms", time.Until(end), ok)
			}
			if n := runtime.NumGoroutine(); n != goroutines {
				t.Errorf("%d goroutines; want %d", n, goroutines)
			}
			calls[0].decision, calls[0].err = store.Decision{Allowed: true}, nil
		}
		for range 10 {
			c := newCall(ctx, new(sync.Pool), store.Request{Limits: noLimits, Timeout: 70 * time.Millisecond}, noOwner)
			if o := b.take(ctx, c); !o.Allowed || o.err != nil {
				t.Errorf("%+v", o)
			}
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		b.send = func(ctx context.Context, calls []*call) {
			<-ctx.Done()
			calls[0].fail(failure(ctx.Err()))
		}
		start := time.Now()
		err := b.take(short, newCall(short, new(sync.Pool), store.Request{Limits: noLimits}, noOwner)).err
		if store.ErrorClass(err) != store.ClassTimeout || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v; want a timeout after 1ms", err, time.Since(start))
		}
	})
}

// TestCallersCallAgain: callers that call again as soon as they have their answers share sends, on a
// single processor, too. If a send ended before they could, each round would begin with calls that
// are sent alone.
func TestCallersCallAgain(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		close(rec.end)
		rec.batcher.send = func(ctx context.Context, calls []*call) {
			time.Sleep(time.Millisecond)
			rec.send(ctx, calls)
		}
		const callers, rounds = 64, 50
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range rounds {
					if _, err := rec.take(t.Context(), 1, time.Minute); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		alone := 0
		for _, n := range rec.sizes() {
			if n == 1 {
				alone++
			}
		}
		if alone > 3*rounds { // it was seven for each
			t.Errorf("%d of %d sends, for %d calls, were of one", alone, len(rec.sizes()), callers*rounds)
		}
		rec.idle(t)
	})
}

// TestQueue: while maxSends are under way calls are queued, and the first send that ends
// is followed by one of at most maxCalls of them, in order of arrival.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		const callers = maxSends + maxCalls + 10
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				if d, err := rec.take(t.Context(), i, time.Minute); err != nil || d.Now != int64(i) {
					t.Errorf("call %d: %+v, %v", i, d, err)
				}
			})
			synctest.Wait() // in this order
		}
		for want := range callers - maxSends {
			if got := rec.batcher.queue[want].request.Cost; got != want+maxSends {
				t.Fatalf("place %d of the queue has call %d", want, got)
			}
		}
		for range callers {
			rec.end <- struct{}{}
			synctest.Wait()
			if n := len(rec.sizes()); n == maxSends+2 {
				break
			}
		}
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		want := []int{1, 1, 1, 1, maxCalls, 10}
		got := rec.sizes()
		if len(got) != len(want) || got[4] != maxCalls || got[5] != 10 {
			t.Errorf("the sends took %v calls; want %v", got, want)
		}
		for i, cost := range rec.sent[4] {
			if cost != i+maxSends {
				t.Errorf("place %d of the fifth send has call %d", i, cost)
			}
		}
		if rec.highest != maxSends {
			t.Errorf("%d sends were under way at once; want %d", rec.highest, maxSends)
		}
		rec.idle(t)
	})
}

// TestGiveUpQueued: a call whose caller gives up in the queue is not sent, and the others
// are.
func TestGiveUpQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		var wg sync.WaitGroup
		rec.fill(t, &wg)
		cancelled, cancel := context.WithCancel(t.Context())
		for _, test := range []struct {
			name  string
			ctx   context.Context
			after time.Duration
			class string
		}{
			{"by its own timeout", t.Context(), 20 * time.Millisecond, store.ClassTimeout},
			{"by its context", cancelled, 10 * time.Millisecond, store.ClassCanceled},
		} {
			wg.Go(func() {
				start := time.Now()
				_, err := rec.take(test.ctx, 1000, 20*time.Millisecond)
				if store.ErrorClass(err) != test.class || time.Since(start) != test.after {
					t.Errorf("%s: %v after %v; want class %s after %v", test.name, err, time.Since(start), test.class, test.after)
				}
				if !errors.Is(err, errQueued) {
					t.Errorf("%s: %v; want it to say that nothing was sent", test.name, err)
				}
			})
		}
		wg.Go(func() {
			if d, err := rec.take(t.Context(), 7, time.Minute); err != nil || d.Now != 7 {
				t.Errorf("the call that was not given up: %+v, %v", d, err)
			}
		})
		time.Sleep(10 * time.Millisecond)
		cancel()
		time.Sleep(20 * time.Millisecond)
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		if got := rec.sizes(); len(got) != maxSends+1 || rec.sent[maxSends][0] != 7 {
			t.Errorf("the sends took %v calls; want the last to take the one in the queue", got)
		}
		rec.idle(t)
	})
}

// TestAllGiveUp: if all callers in the queue give up, nothing is sent, and later calls are
// sent as before.
func TestAllGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		var wg sync.WaitGroup
		rec.fill(t, &wg)
		for range maxCalls + 5 {
			wg.Go(func() { _, _ = rec.take(t.Context(), 1, time.Millisecond) })
		}
		time.Sleep(time.Second)
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		if n := len(rec.sizes()); n != maxSends {
			t.Errorf("%d sends; want %d", n, maxSends)
		}
		rec.idle(t)
		if _, err := rec.take(t.Context(), 1, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// TestGiveUpSent: a caller that gives up after its call was sent neither cancels nor delays
// the others.
func TestGiveUpSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		var until time.Time
		rec.batcher.send = func(ctx context.Context, calls []*call) {
			if len(calls) > 1 {
				until, _ = ctx.Deadline()
			}
			rec.send(ctx, calls)
			if ctx.Err() != nil {
				t.Errorf("the context of the send has ended: %v", ctx.Err())
			}
		}
		var wg sync.WaitGroup
		rec.fill(t, &wg)
		cancelled, cancel := context.WithCancel(t.Context())
		start := time.Now()
		for timeout, ctx := range map[time.Duration]context.Context{
			30 * time.Millisecond: t.Context(), 300 * time.Millisecond: cancelled, 900 * time.Millisecond: t.Context(),
		} {
			wg.Go(func() {
				d, err := rec.take(ctx, 9, timeout)
				took := time.Since(start)
				switch timeout {
				case 30 * time.Millisecond:
					if store.ErrorClass(err) != store.ClassTimeout || took != timeout {
						t.Errorf("timeout of %v: %v after %v", timeout, err, took)
					}
				case 300 * time.Millisecond:
					if store.ErrorClass(err) != store.ClassCanceled || took != 100*time.Millisecond {
						t.Errorf("cancelled after 100ms: %v after %v", err, took)
					}
				default:
					if err != nil || d.Now != 9 || took != 200*time.Millisecond {
						t.Errorf("the call that was not given up: %+v, %v after %v", d, err, took)
					}
				}
			})
		}
		synctest.Wait()
		rec.end <- struct{}{} // sends the three together
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		cancel()
		time.Sleep(100 * time.Millisecond)
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		if got := rec.sizes(); len(got) != maxSends+1 || got[maxSends] != 3 {
			t.Fatalf("the sends took %v calls; want the last to take 3", got)
		}
		if until.Sub(start) != 900*time.Millisecond {
			t.Errorf("the deadline of the send was after %v; want that of the most patient caller, 900ms", until.Sub(start))
		}
		rec.idle(t)
	})
}

// TestSendPanics: a panic of the client, or of one of its hooks, is an error of the calls
// that were sent, and the next calls are decided.
func TestSendPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		var broken atomic.Bool
		broken.Store(true)
		rec.batcher.send = func(ctx context.Context, calls []*call) {
			if broken.Load() {
				<-rec.end
				panic("a key: sesame")
			}
			rec.send(ctx, calls)
		}
		var wg sync.WaitGroup
		for range maxSends + 20 {
			wg.Go(func() {
				_, err := rec.take(t.Context(), 1, time.Minute)
				if store.ErrorClass(err) != store.ClassPanic {
					t.Errorf("%v; want class panic", err)
				}
			})
		}
		synctest.Wait()
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		rec.idle(t)
		broken.Store(false)
		if _, err := rec.take(t.Context(), 1, time.Second); err != nil {
			t.Error(err)
		}

		// A hook that ends the goroutine, as a test's FailNow does, ends the send, too.
		rec.batcher.send = func(context.Context, []*call) { runtime.Goexit() }
		for range maxSends * 2 {
			wg.Go(func() { _, _ = rec.take(t.Context(), 1, time.Minute) })
		}
		wg.Wait()
		rec.idle(t)

		// And so does one that ends the goroutine of a batch.
		end := make(chan struct{})
		var batches atomic.Int64
		rec.batcher.send = func(_ context.Context, calls []*call) {
			if len(calls) > 1 {
				batches.Add(1)
				runtime.Goexit()
			}
			<-end
		}
		for range 4 * maxSends {
			wg.Go(func() { _, _ = rec.take(t.Context(), 1, time.Minute) })
		}
		synctest.Wait()
		close(end)
		wg.Wait()
		synctest.Wait()
		rec.idle(t)
		if batches.Load() == 0 {
			t.Error("no send took several calls")
		}
	})
}

// TestThousandCallers: a thousand callers, some of whom give up, use at most maxSends at
// once and one goroutine more for each of these, and each call with an outcome was sent
// exactly once.
func TestThousandCallers(t *testing.T) {
	const callers, each = 1000, 20
	var b batcher
	var sends, highest, goroutines atomic.Int64
	var mu sync.Mutex
	var pool sync.Pool
	sent := map[int]int{} // by the cost, which differs from call to call
	base := runtime.NumGoroutine()
	b.send = func(_ context.Context, calls []*call) {
		n := sends.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		if g := int64(runtime.NumGoroutine()); g > goroutines.Load() {
			goroutines.Store(g)
		}
		mu.Lock()
		for _, c := range calls {
			sent[c.request.Cost]++
		}
		mu.Unlock()
		runtime.Gosched()
		sends.Add(-1)
		for _, c := range calls {
			c.decision, c.err = store.Decision{Allowed: true}, nil
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
				c := newCall(t.Context(), &pool, store.Request{Limits: noLimits, Cost: id, Timeout: timeout}, noOwner)
				o := b.take(t.Context(), c)
				d, err := o.Decision, o.err
				mu.Lock()
				n := sent[id]
				delete(sent, id)
				mu.Unlock()
				switch {
				case n > 1:
					t.Errorf("a call was sent %d times", n)
				case err == nil && (n != 1 || !d.Allowed):
					t.Errorf("a call that was sent %d times got %+v", n, d)
				case errors.Is(err, errQueued) && n != 0:
					t.Error("a call was sent, and its error says that nothing was sent")
				case err != nil && timeout == time.Minute:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if highest.Load() > maxSends {
		t.Errorf("%d sends were under way at once; want at most %d", highest.Load(), maxSends)
	}
	if got := goroutines.Load(); got > int64(base+callers+maxSends) {
		t.Errorf("%d goroutines; want at most %d callers, %d sends and %d from before", got, callers, maxSends, base)
	}
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > base; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left; want %d", runtime.NumGoroutine(), base)
		}
	}
	idle := func() (sends, queued int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.sends, len(b.queue)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		sends, queued := idle()
		if sends == 0 && queued == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sends are under way and %d calls are queued; want none", sends, queued)
		}
	}
}

// noLimits and noOwner are for batchers that send nothing.
var (
	noLimits []store.Limit
	noOwner  = newNames(defaultPrefix, nil).owner("", "key")
)
