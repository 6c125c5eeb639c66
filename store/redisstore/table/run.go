package table

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// Run follows the table in Redis, ends overrides and shows that this node is alive, until ctx
// ends; it returns the cause of that. It runs on the caller's goroutine and starts none that
// outlives it. Nothing that Redis does or holds makes it return. It must run once.
func (t *Table) Run(ctx context.Context) error {
	if err := t.take(ctx); err != nil {
		return context.Cause(ctx)
	}
	t.readFile()
	t.give()
	t.running.Add(1)
	defer t.running.Add(-1)
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { t.endOverrides(ctx) })
	beside.Go(func() { t.beatOn(ctx) })
	defer t.leave(ctx)
	news, stop := t.subscribe(ctx)
	defer stop()
	for {
		t.look(ctx)
		wait := time.NewTimer(t.untilLook())
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-news:
		}
		wait.Stop()
		drain(news)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// lookTime is enough for a table of a million keys. A Redis that hangs ends a look much earlier.
const lookTime = time.Minute

// look follows Redis once, and makes the end of overrides a change.
func (t *Table) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if t.take(ctx) != nil {
		return
	}
	err := t.follow(ctx) // Status and OnEvent have the error
	t.give()
	if err == nil {
		t.noteEnds(ctx)
	}
}

// untilLook returns the time until the next poll, or until an override ends.
func (t *Table) untilLook() time.Duration {
	return min(t.config.Poll*3/4+rand.N(t.config.Poll/2+1), t.untilEnd()+endSpread)
}

// untilEnd returns the time until an override in force ends.
func (t *Table) untilEnd() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends.IsZero() {
		return time.Hour
	}
	return max(t.ends.Sub(t.now()), 0)
}

// endSpread is how long a node waits until it makes the end of an override a change.
const endSpread = 20 * time.Millisecond

// endOverrides puts the table in force without the overrides that have ended, whatever Redis does,
// until ctx ends.
func (t *Table) endOverrides(ctx context.Context) {
	for {
		wait := time.NewTimer(min(t.untilEnd(), t.config.Poll)) // Redis' clock may be set
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		case <-t.endsChanged:
			wait.Stop()
		}
		if t.untilEnd() > 0 {
			continue
		}
		if err := t.endDue(); err != nil {
			t.report(Event{Err: err})
			select { // the old one stays, until the next version
			case <-ctx.Done():
				return
			case <-time.After(t.config.Poll):
			}
		}
	}
}

// endDue puts the version of this node in force once more.
func (t *Table) endDue() error {
	t.forcing.Lock()
	defer t.forcing.Unlock()
	s, end := t.effective(t.current().document)
	if err := t.force.Use(s); err != nil {
		return err
	}
	t.mu.Lock()
	t.ends = end
	t.mu.Unlock()
	return nil
}

// noteEnds makes the end of overrides a change. One node suffices: on average, one tries at each poll.
func (t *Table) noteEnds(ctx context.Context) {
	over := func(o plans.Override) bool { return !t.now().Before(o.Until) }
	due := false
	for _, o := range t.current().overrides {
		due = due || over(o)
	}
	if due && rand.N(t.Nodes()) == 0 {
		_ = t.change(ctx, "", false, func(d document) (document, []string, error) { return d.without(over) }) // the next look tries again
	}
}

// leave makes the other nodes count one less.
func (t *Table) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = t.server.beat(ctx, t.id, lasts*t.config.Poll, true) // it is forgotten anyway, later
}

// subscribe returns a channel with a message for each new version, and a function that ends it.
// The channel stays silent while there is no connection: polls do not depend on it.
func (t *Table) subscribe(ctx context.Context) (news <-chan *redis.Message, stop func()) {
	stop = func() {}
	_ = store.Try(func() {
		sub := t.server.client.Subscribe(ctx, t.server.channel())
		news, stop = sub.Channel(), func() { _ = sub.Close() }
	})
	return news, stop
}

// drain takes the messages that are there.
func drain(news <-chan *redis.Message) {
	for {
		select {
		case _, ok := <-news:
			if !ok {
				return
			}
		default:
			return
		}
	}
}
