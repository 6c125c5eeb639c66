package ratelimit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/count"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// renewals keep the holds of a limiter, and of those made from it, as long as they are out.
// A timer runs while there are some. The zero value has none.
type renewals struct {
	holder  store.Holder
	timeout time.Duration
	shards  [16]renewalShard

	mu      sync.Mutex
	running atomic.Bool // changes under mu
	closed  atomic.Bool // changes under mu
	timer   *time.Timer
	began   time.Time // when tick 0 was

	ticking sync.Mutex // held by tick
	last    int64      // the last tick; only one of tick and start runs
	senders [renewalSends]sender
	first   atomic.Uint32 // the shard with which the next sender begins

	failures atomic.Int64 // calls of the store in a row in which a renewal failed
}

// A renewalShard has a part of the holds: callers on several cores do not wait for each other.
type renewalShard struct {
	mu     sync.Mutex
	tick   int64 // the present one
	out    int   // how many holds are out
	closed bool
	young  Hold              // the root of a ring: those that were never renewed, in order of time
	queues [2][]*renewal     // the others, in order of time: those whose first renewal failed, the rest
	away   map[*renewal]bool // those that are being renewed, and in no queue
	_      [64]byte
}

// queued is what a Hold has to be among the renewals. Its shard's lock guards it.
type queued struct {
	next, prev *Hold
	due        int64 // the tick of the first renewal
	renewal    *renewal
	shard      uint8
	ended      bool
}

// add makes h one of the holds that are out.
func (r *renewals) add(h *Hold) {
	h.shard = uint8(rand.Uint32() % uint32(len(r.shards)))
	s := &r.shards[h.shard]
	s.mu.Lock()
	s.out++
	if !s.closed {
		root := &s.young
		if root.next == nil {
			root.next, root.prev = root, root
		}
		h.due = s.tick + firstRenewal
		h.next, h.prev = root, root.prev
		root.prev.next, root.prev = h, h
	}
	s.mu.Unlock()
	if !r.running.Load() {
		r.start()
	}
}

// remove ends a hold. It returns false if that has been done, and what to wait for before
// the names of the hold are known.
func (r *renewals) remove(h *Hold) (flight chan struct{}, first bool) {
	s := &r.shards[h.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.ended {
		return nil, false
	}
	h.ended = true
	if h.next != nil {
		h.unlink()
	}
	if h.renewal != nil {
		h.renewal.ended = true
		flight = h.renewal.flight
	}
	s.out--
	return flight, true
}

func (h *Hold) unlink() {
	h.prev.next, h.next.prev = h.next, h.prev
	h.next, h.prev = nil, nil
}

// start begins to renew holds, if that is not done.
func (r *renewals) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() || r.running.Load() {
		return
	}
	r.running.Store(true)
	r.began = time.Now().Add(-time.Duration(r.last) * renewalTick) // ticks go on from the last
	if r.timer == nil {
		r.timer = time.AfterFunc(renewalTick, r.tick)
	} else {
		r.timer.Reset(renewalTick)
	}
}

// tick renews the holds that are due. It is called again as long as some are out.
func (r *renewals) tick() {
	r.ticking.Lock() // for close
	defer r.ticking.Unlock()
	r.last++
	r.last = r.now()
	r.send(0)
	r.last = r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running.Store(false) // before the holds are counted: see add
	if !r.closed.Load() && r.out() > 0 {
		r.running.Store(true)
		r.timer.Reset(renewalTick)
		return
	}
	r.senders = [renewalSends]sender{}
}

// now returns the present tick. It is for tick and what runs meanwhile.
func (r *renewals) now() int64 { return max(r.last, int64(time.Since(r.began)/renewalTick)) }

// out returns how many holds are out.
func (r *renewals) out() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += s.out
		if s.out == 0 {
			s.queues = [2][]*renewal{}
		}
		s.mu.Unlock()
	}
	return n
}

// measure adds what the holds hold that are out, and the age of the oldest.
func (r *renewals) measure(to *metrics.Reading, c *count.Counts) {
	type set struct{ limit, class string }
	held, oldest := make(map[set]int), make(map[string]int64)
	add := func(limits []store.Limit, n int, class string, ticks int64) {
		for i := range limits {
			name := limits[i].Name
			held[set{name, class}] += limits[i].Tokens(n)
			oldest[name] = max(oldest[name], ticks)
		}
	}
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for h := s.young.next; h != nil && h != &s.young; h = h.next {
			add(h.limits, h.result.cost, "short", s.tick-(h.due-firstRenewal))
		}
		for _, e := range slices.Concat(s.queues[0], s.queues[1], slices.Collect(maps.Keys(s.away))) {
			switch {
			case e.ended || e.hold.Value() == nil:
			case e.long:
				add(e.limits, e.held, "long", s.tick-e.began)
			default:
				add(e.limits, e.held, "short", s.tick-e.began)
			}
		}
		s.mu.Unlock()
	}
	for of, n := range held {
		to.Add(metrics.Holds, float64(n), c.Label(of.limit), of.class)
	}
	for limit, ticks := range oldest {
		to.SetMax(metrics.HoldsOldest, (time.Duration(ticks) * renewalTick).Seconds(), c.Label(limit))
	}
}

// close ends the renewals for good. It waits for those in flight: one that is cut off may have
// been executed, and a settlement by the old name would then free nothing.
func (r *renewals) close() {
	r.mu.Lock()
	r.closed.Store(true)
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.ticking.Lock()
	defer r.ticking.Unlock()
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.closed, s.queues = true, [2][]*renewal{}
		for h := s.young.next; h != nil && h != &s.young; h = s.young.next {
			h.unlink()
		}
		s.mu.Unlock()
	}
}
