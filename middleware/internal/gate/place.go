package gate

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Wait returns how long a denied call must wait: gcra.Never if waiting does not help.
func (g *Gate[C]) Wait(of C, key string, result *ratelimit.Result) time.Duration {
	wait := result.RetryAfter()
	if wait == gcra.Never {
		return wait
	}
	if g.places != nil && !result.Blocked() {
		limits := result.Policy().Compiled()
		l := &limits[0]
		if len(limits) > 1 {
			name := result.Limit().Name
			l = &limits[slices.IndexFunc(limits, func(l store.Limit) bool { return l.Name == name })]
		}
		if timed(result, l, wait) {
			wait = g.places.wait(g.config.Peer(of), key, l, result.Cost(), wait)
		}
	}
	return g.jittered(max(wait, time.Microsecond))
}

// timed reports whether the wait of a denied call is the time in which tokens come back. No
// time is known if calls in progress must end first, or may end earlier than that, and the
// wait is a guess: then there is nothing to queue for.
func timed(result *ratelimit.Result, l *store.Limit, wait time.Duration) bool {
	s := result.State(0)
	switch {
	case l.Loan() || s.Held > 0 && result.Cost() > l.Burst()-s.Held:
		return false
	case s.Held == 0:
		return true
	}
	alone := s.ResetAfter + Refill(l, result.Cost()) - l.Capacity().Duration() // the wait if nothing were held
	kept := alone + Refill(l, s.Held)                                          // and if all of that stays
	return alone > rounding && (wait <= alone+rounding || wait >= kept-rounding)
}

// rounding is the most by which the times in timed may be wrong: each is rounded up to a
// microsecond.
const rounding = 3 * time.Microsecond

// jittered adds the random part to a wait.
func (g *Gate[C]) jittered(wait time.Duration) time.Duration {
	if g.config.Jitter > 0 && wait < gcra.Never-g.config.Jitter {
		wait += rand.N(g.config.Jitter + 1)
	}
	return wait
}

// maxQueues is how many keys with denied clients are remembered.
const maxQueues = 10_000

// places gives clients that share a key a place in a queue. Without it, all of them come
// back when the bucket has one token, and all but one are denied again; few HTTP clients
// retry more than three times.
//
// The queue is local to the node and reserves nothing: only the bucket decides about a
// call, whenever it comes.
type places struct {
	start time.Time
	seed  maphash.Seed

	mu     sync.Mutex
	index  map[uint64]int // by hash of key and limit, into queues
	queues []queue        // a ring when it is full: the oldest is replaced
	oldest int
}

func newPlaces() *places {
	return &places{start: time.Now(), seed: maphash.MakeSeed(), index: map[uint64]int{}}
}

// wait returns how long a denied client should wait if the bucket has room after wait: at
// most one refill of the bucket longer.
func (p *places) wait(peer, key string, l *store.Limit, cost int, wait time.Duration) time.Duration {
	var h maphash.Hash
	h.SetSeed(p.seed)
	_, _ = h.WriteString(l.Name)
	_ = h.WriteByte(0) // no name contains one
	_, _ = h.WriteString(key)
	conn := uint64(1) << (maphash.String(p.seed, peer) % 64)
	d := denial{
		wait:   wait,
		cost:   Refill(l, cost),
		token:  Refill(l, 1),
		refill: l.Capacity().Duration(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d.now = time.Since(p.start)
	return p.queue(h.Sum64()).join(conn, d)
}

// queue returns the queue with that hash, which may be new.
func (p *places) queue(hash uint64) *queue {
	i, ok := p.index[hash]
	switch {
	case ok:
		return &p.queues[i]
	case len(p.queues) < maxQueues:
		i = len(p.queues)
		p.queues = append(p.queues, queue{})
	default:
		i = p.oldest
		p.oldest = (i + 1) % maxQueues
		delete(p.index, p.queues[i].hash)
	}
	p.index[hash] = i
	p.queues[i] = queue{hash: hash, empty: -1 << 62, end: -1 << 62, denied: -1 << 62}
	return &p.queues[i]
}
