package lease

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

const (
	tickEvery = 25 * time.Millisecond
	mostShare = 9      // times as long as a tick goes through the leases, it waits for the next
	mostBatch = 256    // settlements that are sent at once
	mostKept  = 10_000 // settlements that wait for the next tick
)

// ticks give back what nothing spends any more. A timer runs while keys have a lease.
type ticks struct {
	running atomic.Bool // changes under mu

	mu      sync.Mutex
	stopped bool
	timer   *time.Timer
	kept    []kept
}

// A kept settlement was certainly not made. It is sent with the next tick.
type kept struct {
	store.Settlement
	over int64 // when the shared store has charged it: from then on it is of no use
}

// keep keeps a settlement that was not made. If there are too many it is dropped, and charged.
func (t *ticks) keep(one store.Settlement, over int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) < mostKept {
		t.kept = append(t.kept, kept{one, over})
	}
}

// start makes the timer run.
func (t *ticks) start(s *Store) {
	if t.running.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running.Load() || t.stopped {
		return
	}
	t.running.Store(true)
	t.again(s, tickEvery)
}

// again calls tick once more, after a time.
func (t *ticks) again(s *Store, after time.Duration) {
	switch {
	case s.clock.virtual != nil:
		s.clock.virtual.After(after, func() { t.tick(s) })
	case t.timer == nil:
		t.timer = time.AfterFunc(after, func() { t.tick(s) })
	default:
		t.timer.Reset(after)
	}
}

func (t *ticks) tick(s *Store) {
	if !s.begins() {
		return
	}
	defer s.trips.Done()
	after := max(tickEvery, mostShare*t.giveBack(s, false))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running.Store(false) // before the entries are counted: see start
	if !t.stopped && (s.table.used.Load() > 0 || len(t.kept) > 0) {
		t.running.Store(true)
		t.again(s, after)
	}
}

// giveBack settles what is not spent any more, or everything if this is the end. It returns how
// long it went through the leases.
func (t *ticks) giveBack(s *Store, end bool) (took time.Duration) {
	now := s.now()
	t.mu.Lock()
	all := t.kept
	t.kept = nil
	t.mu.Unlock()
	var back []store.Settlement
	s.table.each(func(e *entry) {
		var over int64
		back, over = e.ended(now, end, back[:0])
		for i := range back {
			all = append(all, kept{back[i], over})
		}
		if e.gone {
			s.table.remove(e)
			s.rates.count(e.hash^e.limits[0].NameHash(), e.tally.after(now-e.at, e.life), now, e.life)
		}
	})
	took = time.Duration(s.now() - now)
	for len(all) > 0 {
		batch := all[:min(len(all), mostBatch)]
		all = all[len(batch):]
		now = s.now() // a batch may have to wait long for the ones before
		batch = slices.DeleteFunc(batch, func(k kept) bool { return now >= k.over })
		if len(batch) > 0 {
			s.settle(batch)
		}
	}
	return took
}

// settle sends a batch once.
func (s *Store) settle(batch []kept) {
	sent := make([]store.Settlement, len(batch))
	for i := range batch {
		sent[i] = batch[i].Settlement
		sent[i].Err = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), store.DefaultTimeout)
	defer cancel()
	if store.Try(func() { s.asked.(store.Holder).Settle(ctx, sent) }) != nil { //nolint:errcheck // New has made sure of it
		return
	}
	for i := range sent {
		if notCharged(sent[i].Err) {
			s.ticks.keep(sent[i], batch[i].over)
		}
	}
}

// stop ends the ticks, and gives everything back. No trip is on its way any more.
func (t *ticks) stop(s *Store) {
	t.mu.Lock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	t.giveBack(s, true)
}
