package gate

import (
	"time"

	"github.com/keyrate/keyrate/store"
)

const (
	clump    = 100 * time.Millisecond // denials closer together than this come from different clients
	crowding = 4                      // denials per admission above which no queue forms
)

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

// Refill returns the time in which n tokens come back, rounded up to a microsecond. n is at
// most the burst.
func Refill(l *store.Limit, n int) time.Duration {
	d, _ := l.Cost(min(max(n, 0), l.Burst()))
	return d.Duration()
}
