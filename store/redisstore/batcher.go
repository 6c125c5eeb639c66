package redisstore

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/keyrate/keyrate/store"
)

const (
	// maxSends is how many sends to one server are under way at once, and so how many
	// connections and goroutines its decisions use.
	maxSends = 4
	// maxCalls is about how many calls one send takes, with their releases.
	maxCalls = 256
)

// A batcher lets concurrent calls share round trips to one server. While fewer than
// maxSends are under way, a call is sent at once, alone, on its caller's goroutine.
// Otherwise it joins the queue, and the first send that ends is followed by one of all
// calls in the queue. A send that ends lets the goroutines run that are ready to, so that callers
// with an answer can queue their next call. No call waits for others to come.
type batcher struct {
	part string                                   // the name of the server, one of several
	send func(ctx context.Context, calls []*call) // decides or fails each call

	mu    sync.Mutex
	sends int // under way
	queue []*call
}

// take sends the call, alone or in a batch, and returns its outcome.
func (b *batcher) take(ctx context.Context, c *call) outcome {
	b.mu.Lock()
	if b.sends >= maxSends {
		c.queued = true
		b.queue = append(b.queue, c)
		b.mu.Unlock()
		return c.wait(ctx)
	}
	b.sends++
	b.mu.Unlock()
	b.sendAlone(ctx, c)
	return c.outcome()
}

// enqueue queues calls that are sent together, as far as they fit into one send. Their
// outcomes are to be waited for.
func (b *batcher) enqueue(calls []*call) {
	b.mu.Lock()
	for _, c := range calls {
		c.queued = true
	}
	b.queue = append(b.queue, calls...)
	idle := b.sends < maxSends
	if idle {
		b.sends++
	}
	b.mu.Unlock()
	if idle {
		b.handOver()
	}
}

// sendAlone sends a call on its caller's goroutine. Calls that have queued up by then are
// sent on another goroutine, so that the caller does not wait for them.
func (b *batcher) sendAlone(ctx context.Context, c *call) {
	defer b.handOver() // even if a hook of the client ends the goroutine
	c.claim()
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	b.deliver(ctx, []*call{c})
}

// sendQueued sends calls from the queue until the queue is empty.
func (b *batcher) sendQueued(calls []*call) {
	defer func() {
		if calls != nil { // a hook of the client has ended the goroutine
			b.handOver()
		}
	}()
	for ; calls != nil; calls = b.next() {
		calls = slices.DeleteFunc(calls, func(c *call) bool { return !c.claim() })
		if len(calls) == 0 {
			continue
		}
		// No caller's context: a caller that gives up must not cancel the others.
		latest := slices.MaxFunc(calls, func(c, d *call) int { return c.deadline.Compare(d.deadline) }).deadline
		ctx, cancel := context.WithDeadline(context.Background(), latest)
		b.deliver(ctx, calls)
		cancel()
		runtime.Gosched()
	}
}

// handOver ends one send and begins the next on a new goroutine if calls are queued.
func (b *batcher) handOver() {
	if calls := b.next(); calls != nil {
		go b.sendQueued(calls)
	}
}

// next takes calls off the queue, for the next send in place of one that has ended. It
// returns nil if the queue is empty: then fewer sends are under way.
func (b *batcher) next() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for parts := 0; n < len(b.queue) && parts < maxCalls; n++ {
		parts += 1 + len(b.queue[n].releases)
	}
	if n == 0 {
		b.sends--
		return nil
	}
	calls := b.queue[:n:n]
	if b.queue = b.queue[n:]; len(b.queue) == 0 {
		b.queue = make([]*call, 0, n) // about as many will have come by the next send
	}
	return calls
}

// deliver sends calls and always finishes them. A call that has no outcome by then fails
// with errPanic.
func (b *batcher) deliver(ctx context.Context, calls []*call) {
	defer func() { // even if a hook of the client ends the goroutine
		for _, c := range calls {
			c.finish()
		}
	}()
	_ = store.Try(func() { b.send(ctx, calls) })
}
