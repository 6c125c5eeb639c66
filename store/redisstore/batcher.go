package redisstore

import (
	"context"
	"errors"
	"sync"

	"github.com/keyrate/keyrate/ratelimit"
)

const (
	// maxFlights is how many flights of one lane are in the air at once, and so how
	// many connections and goroutines its decisions use.
	maxFlights = 4
	// maxCalls is how many calls one flight takes.
	maxCalls = 256
)

// flights let concurrent calls share trips to Redis. Nobody waits for company: a
// call leaves at once if a flight is free, alone, on its caller's goroutine. Only
// while all flights are in the air do calls gather, and the first that lands takes
// them along.
type flights struct {
	name string                                   // of the server, among several
	fly  func(ctx context.Context, calls []*call) // decides or fails each of them

	mu    sync.Mutex
	inAir int
	queue []*call
}

// take sends the call on its way and returns its outcome.
func (f *flights) take(ctx context.Context, c *call) (ratelimit.Decision, error) {
	f.mu.Lock()
	if f.inAir >= maxFlights {
		c.queued = true
		f.queue = append(f.queue, c)
		f.mu.Unlock()
		return c.wait(ctx)
	}
	f.inAir++
	f.mu.Unlock()
	f.alone(ctx, c)
	return c.outcome()
}

// alone flies the call on this goroutine. Those who have come meanwhile fly on
// another: the caller is not to wait for them.
func (f *flights) alone(ctx context.Context, c *call) {
	defer f.handOver() // whatever happens aboard, the flight's place must not be lost
	c.board()
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	f.trip(ctx, []*call{c})
}

// together flies calls, and then those who have come meanwhile, until nobody waits.
func (f *flights) together(calls []*call) {
	defer func() {
		if calls != nil { // something aboard has ended the goroutine, which no recover stops
			f.handOver()
		}
	}()
	for ; calls != nil; calls = f.next() {
		aboard := calls[:0]
		for _, c := range calls {
			if c.board() {
				aboard = append(aboard, c)
			}
		}
		if len(aboard) == 0 {
			continue
		}
		// The context is nobody's: who gives up must not take the others along.
		latest := aboard[0].deadline
		for _, c := range aboard {
			if c.deadline.After(latest) {
				latest = c.deadline
			}
		}
		ctx, cancel := context.WithDeadline(context.Background(), latest)
		f.trip(ctx, aboard)
		cancel()
	}
}

// handOver leaves the place of a flight to those who wait, on a goroutine of theirs.
func (f *flights) handOver() {
	if calls := f.next(); calls != nil {
		go f.together(calls)
	}
}

// next gives the place of a flight that has landed to those who wait. It returns
// nil if nobody does.
func (f *flights) next() []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(f.queue), maxCalls)
	if n == 0 {
		f.inAir--
		return nil
	}
	calls := f.queue[:n:n]
	if f.queue = f.queue[n:]; len(f.queue) == 0 {
		f.queue = make([]*call, 0, n) // as many will have come until then
	}
	return calls
}

// errPanic says that the client, or a hook of it, panicked. What it said is not
// repeated: it may hold anything.
var errPanic = &ratelimit.StoreError{Class: ratelimit.ClassPanic, Err: errors.New("redisstore: the Redis client panicked")}

// trip flies, and sees to it that everybody lands: a caller has nobody else. Who has
// no outcome by then has failed with errPanic.
func (f *flights) trip(ctx context.Context, calls []*call) {
	defer func() {
		_ = recover()
		for _, c := range calls {
			c.land()
		}
	}()
	f.fly(ctx, calls)
}
