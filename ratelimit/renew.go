package ratelimit

import (
	"context"
	"sync"
	"time"
	"weak"

	"github.com/keyrate/keyrate/store"
)

// How holds are renewed, in ticks of renewals. The store keeps a new hold for 1 to 2 seconds,
// and a renewed one for 10 to 20: so two renewals in a row may be lost.
const (
	renewalTick  = 100 * time.Millisecond
	firstRenewal = 4  // ticks: after 0.3 to 0.4 seconds
	nextRenewal  = 30 // ticks
	renewalBatch = 256
	// So many batches are in flight at a time: with round trips of 20 ms, 60,000 holds that
	// were made at once are renewed in the 0.6 s that are left for it, and 300,000 in the 3 s
	// between two renewals.
	renewalSends = 8
)

// A sender sends one batch after the other. Its buffers are reused.
type sender struct {
	due   []*renewal
	batch []store.Settlement
}

// A renewal stands for a Hold that lasts. It does not keep the Hold: one that a program has
// dropped is not renewed again. Its shard's lock guards it.
type renewal struct {
	hold   weak.Pointer[Hold]
	shard  *renewalShard
	home   string
	key    string
	limits []store.Limit
	names  [store.MaxLimits]int64 // as the store has confirmed them
	held   int
	began  int64 // the tick of the hold
	due    int64
	long   bool          // some renewal has been confirmed
	ended  bool          // the Hold was
	flight chan struct{} // if it is being renewed: closed after that
}

// names returns the names of a hold that has ended and is not being renewed.
func (h *Hold) names() [store.MaxLimits]int64 {
	if h.renewal == nil {
		return h.hold.Names
	}
	h.renewal.shard.mu.Lock()
	defer h.renewal.shard.mu.Unlock()
	return h.renewal.names
}

// send renews holds that are due until none are left, or the renewals are closed. While its
// batches are full, the next sender helps.
func (r *renewals) send(i int) {
	var next sync.WaitGroup
	defer next.Wait()
	s := &r.senders[i]
	for full, helped := true, i+1 == len(r.senders); full && !r.closed.Load(); {
		s.due = r.due(s.due[:0])
		if full = len(s.due) == renewalBatch; full && !helped {
			helped = true
			next.Go(func() { r.send(i + 1) })
		}
		s.renew(r)
	}
}

// due appends a batch of holds that are to be renewed now, and takes them out of their queues:
// first those that were never renewed, whose time is over soonest.
func (r *renewals) due(due []*renewal) []*renewal {
	tick, first := r.now(), r.first.Add(1)
	for _, take := range [...]func(*renewalShard, []*renewal, int64) []*renewal{
		(*renewalShard).takeYoung,
		func(s *renewalShard, due []*renewal, tick int64) []*renewal { return s.take(&s.queues[0], due, tick) },
		func(s *renewalShard, due []*renewal, tick int64) []*renewal { return s.take(&s.queues[1], due, tick) },
	} {
		for i := range uint32(len(r.shards)) {
			due = take(&r.shards[(first+i)%uint32(len(r.shards))], due, tick)
		}
	}
	return due
}

// takeYoung is due for the holds of a shard that were never renewed.
func (s *renewalShard) takeYoung(due []*renewal, tick int64) []*renewal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick = max(s.tick, tick)
	for h := s.young.next; h != nil && h != &s.young && h.due <= tick && len(due) < renewalBatch; h = s.young.next {
		h.unlink()
		h.renewal = &renewal{
			hold: weak.Make(h), shard: s, home: h.home, key: h.key, limits: h.limits, names: h.hold.Names, held: h.result.cost,
			began: h.due - firstRenewal,
		}
		due = s.send(due, h.renewal)
	}
	return due
}

// send appends a renewal to those that are due.
func (s *renewalShard) send(due []*renewal, e *renewal) []*renewal {
	if s.away == nil {
		s.away = make(map[*renewal]bool)
	}
	s.away[e] = true
	return append(due, e)
}

// take is due for a queue of a shard.
func (s *renewalShard) take(queue *[]*renewal, due []*renewal, tick int64) []*renewal {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(*queue) > 0 && (*queue)[0].due <= tick && len(due) < renewalBatch {
		e := (*queue)[0]
		(*queue)[0], *queue = nil, (*queue)[1:]
		switch {
		case e.ended:
		case e.hold.Value() == nil: // dropped by the program
			s.out--
		default:
			due = s.send(due, e)
		}
	}
	return due
}

// renew renews the holds of s.due in one call of the store.
func (s *sender) renew(r *renewals) {
	flight := make(chan struct{})
	defer close(flight)
	sent, batch := s.due[:0], s.batch[:0]
	for _, e := range s.due {
		e.shard.mu.Lock()
		if e.ended {
			delete(e.shard.away, e)
		} else {
			e.flight = flight
			sent = append(sent, e)
			batch = append(batch, store.Settlement{Home: e.home, Key: e.key, Limits: e.limits, Names: e.names, Held: e.held, Renew: true})
		}
		e.shard.mu.Unlock()
	}
	s.batch = batch
	if len(sent) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	r.holder.Settle(ctx, batch)
	cancel()
	failed := false
	for i, e := range sent {
		failed = e.renewed(&batch[i]) || failed
	}
	if failed {
		r.failures.Add(1)
	} else {
		r.failures.Store(0)
	}
	clear(batch)
	clear(s.due)
}

// renewed notes the outcome of a renewal, and queues the next one. If the outcome is not
// known, the hold keeps its names; if it was the first, it is repeated soon. It reports
// whether the renewal failed.
func (e *renewal) renewed(t *store.Settlement) (failed bool) {
	s := e.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	e.flight = nil
	delete(s.away, e)
	if t.Err == nil {
		e.names, e.long = t.Names, true
	}
	switch {
	case e.ended || s.closed:
	case e.long:
		e.due = s.tick + nextRenewal
		s.queues[1] = append(s.queues[1], e)
	default:
		e.due = s.tick + firstRenewal
		s.queues[0] = append(s.queues[0], e)
	}
	return t.Err != nil
}
