package ratelimit

import (
	"context"
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
)

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

// due takes the holds that are to be renewed at a tick out of their queues.
func (r *renewals) due(tick int64) (due []*renewal) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.tick = tick
		for h := s.young.next; h != nil && h != &s.young && h.due <= tick; h = s.young.next {
			h.unlink()
			h.renewal = &renewal{
				hold: weak.Make(h), shard: s, home: h.home, key: h.key, limits: h.limits, names: h.hold.Names, held: h.result.cost,
			}
			due = append(due, h.renewal)
		}
		for q := range s.queues {
			queue := &s.queues[q]
			for len(*queue) > 0 && (*queue)[0].due <= tick {
				e := (*queue)[0]
				(*queue)[0], *queue = nil, (*queue)[1:]
				switch {
				case e.ended:
				case e.hold.Value() == nil: // dropped by the program
					s.out--
				default:
					due = append(due, e)
				}
			}
		}
		s.mu.Unlock()
	}
	return due
}

// renew renews holds in one call of the store.
func (r *renewals) renew(all []*renewal) {
	flight := make(chan struct{})
	defer close(flight)
	sent, batch := all[:0], r.batch[:0]
	for _, e := range all {
		e.shard.mu.Lock()
		if !e.ended {
			e.flight = flight
			sent = append(sent, e)
			batch = append(batch, store.Settlement{Home: e.home, Key: e.key, Limits: e.limits, Names: e.names, Held: e.held, Renew: true})
		}
		e.shard.mu.Unlock()
	}
	r.batch = batch
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
}

// renewed notes the outcome of a renewal, and queues the next one. If the outcome is not
// known, the hold keeps its names; if it was the first, it is repeated soon. It reports
// whether the renewal failed.
func (e *renewal) renewed(t *store.Settlement) (failed bool) {
	s := e.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	e.flight = nil
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
