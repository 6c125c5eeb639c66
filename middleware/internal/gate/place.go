package gate

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

const (
	maxQueues = 10_000                 // remembered keys with denied clients
	clump     = 100 * time.Millisecond // denials closer together than this come from different clients
	crowding  = 4                      // denials per admission above which no queue forms
)

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

// A queue is what the waits of one key and one limit have promised. Times count from
// places.start.
type queue struct {
	hash   uint64
	end    time.Duration // the last instant that was promised
	empty  time.Duration // since when the bucket holds no token, as of the last denial
	denied time.Duration // when the last denial was
	seen   uint64        // connections in the queue, one bit each, by hash
	period int64         // the number of the current period, for crowded
	demand [2]time.Duration
}

func newPlaces() *places {
	return &places{start: time.Now(), seed: maphash.MakeSeed(), index: map[uint64]int{}}
}

// wait returns how long a denied client should wait: at least result.RetryAfter(), and at most
// one refill of the bucket longer.
func (p *places) wait(peer, key string, result *ratelimit.Result) time.Duration {
	var h maphash.Hash
	h.SetSeed(p.seed)
	_, _ = h.WriteString(result.Limit().Name)
	_ = h.WriteByte(0) // no name contains one
	_, _ = h.WriteString(key)
	conn := uint64(1) << (maphash.String(p.seed, peer) % 64)
	d := denial{
		wait:   result.RetryAfter(),
		cost:   Refill(result.Limit(), result.Cost()),
		token:  Refill(result.Limit(), 1),
		refill: Refill(result.Limit(), result.Limit().Burst),
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

// A denial is one call that found no room.
type denial struct {
	now    time.Duration // since places.start
	wait   time.Duration // until the bucket has room for it
	cost   time.Duration // in which its tokens come back
	token  time.Duration // in which one token comes back
	refill time.Duration // in which an empty bucket fills up
}

// join gives a client the next place, and returns the time until then.
func (q *queue) join(conn uint64, d denial) time.Duration {
	room := d.now + d.wait
	empty := room - d.cost
	taken := empty > q.empty+d.token/2 // a token was used since the last denial
	together := d.now-q.denied < clump
	q.empty, q.denied = empty, d.now
	if q.crowded(d) {
		return d.wait
	}
	switch {
	case q.end <= empty+d.token/2: // the clients that waited have been served
		q.end, q.seen = room, conn
	case taken || together || q.seen&conn == 0:
		q.end = min(max(q.end, empty)+d.cost, room+2*d.refill)
		q.seen |= conn
	default: // a client that came back early keeps its place
		q.end = max(q.end, room)
	}
	return min(q.end, room+d.refill) - d.now
}

// crowded reports whether far more is denied than the limit admits, in this period or in
// the one before. Then a client ignores Retry-After, and places behind its calls would only
// make the others wait longer.
func (q *queue) crowded(d denial) bool {
	length := max(d.refill, time.Second) // most clients wait for whole seconds
	if period := int64(d.now / length); period != q.period {
		if period == q.period+1 {
			q.demand[1] = q.demand[0]
		} else {
			q.demand[1] = 0
		}
		q.demand[0], q.period = 0, period
	}
	if q.demand[0] <= crowding*length { // or the sum could overflow
		q.demand[0] += d.cost
	}
	return max(q.demand[0], q.demand[1]) > crowding*length
}

// Refill returns the time in which n tokens come back, n * Period / Rate, rounded up to a
// microsecond. n is at most l.Burst: with a valid limit that is at most ten years.
func Refill(l ratelimit.Limit, n int) time.Duration {
	n = min(max(n, 0), l.Burst)
	hi, lo := bits.Mul64(uint64(n), uint64(l.Period/time.Microsecond))
	quo, rem := bits.Div64(hi, lo, uint64(l.Rate))
	if rem > 0 {
		quo++
	}
	return time.Duration(quo) * time.Microsecond
}
