// Package pace decides when requests to an API are sent, so that they stay within its
// limits. It knows no HTTP: a Transport asks it before an attempt ([Pace.Wait]) and
// reports the response after it ([Pace.Learn]).
//
// A [Cache] has a [Pace] for each host and credential. A Pace has a queue for each set of
// limits that its routes have, and a limiter for each limit. A file calls down this list,
// never up:
//
//	cache.go                     the paces
//	wait.go, learn.go            before an attempt, after its response
//	observation.go               the attempts under way beside one
//	backoff.go                   the wait after a denial
//	pace.go, queue.go, routes.go which requests wait for which limits
//	report.go, limiter.go        one limit: what a report changes, how long to wait
//	fill.go                      its bucket
//	adaptive.go                  the rate of an API that reports no limits
//	classifier.go, estimator.go  whether a limit is a bucket, and how fast it refills
//	windowstart.go, rounding.go  what servers do not report of a window
//	aimd.go, rtt.go              the use by other nodes, the round-trip times
package pace

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// A Pace is what the requests to one host with one credential have in common.
type Pace struct {
	key   Key
	users int           // guarded by Cache.mu, as the next two
	used  time.Time     // when the last user left
	idle  *list.Element // its place in Cache.idle, nil while it is used

	maxWait time.Duration
	Warned  atomic.Bool // for the Transport: it has reported that there is no credential

	mu       sync.Mutex
	tickets  uint64
	queues   queues
	sent     uint64             // counts attempts
	recent   [maxRecent]sending // the last ones, by number
	lastSent time.Time          // zero before the first attempt, and after one that failed
	rtt      rtt
	known    bool       // there was a response
	backoff  backoff    // after denials that name no limit
	limiters []*limiter // of the limits that were reported, at most maxLimiters
	ids      uint64     // counts limiters
	routes   routes     // which limiters hold which routes
	adaptive adaptive   // for routes without a limiter
}

// A Ticket is the place of a request among all of its pace. A request that is sent again
// keeps it.
type Ticket struct {
	number uint64
	route  Route
}

// An Attempt is a request that is sent once.
type Attempt struct {
	number uint64 // counts those of a pace, from 1
	sent   time.Time
	route  Route
}

// A sending is what is remembered of an attempt.
type sending struct {
	at  time.Time
	set *limitSet // the limits that it counts against; nil: unknown, so all
}

// maxRecent is how many attempts are remembered: a response matters only to the requests
// that it overtook, and no more are under way.
const maxRecent = 128

// Ticket returns the next ticket, for a request of a route.
func (p *Pace) Ticket(route Route) Ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tickets++
	return Ticket{p.tickets, route}
}

// Failed reports that an attempt ended without a response. While none is known, the next
// request goes at once, again alone.
func (p *Pace) Failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastSent = time.Time{}
	p.queues.wake()
}

// remembers reports whether an attempt is one of the recent ones.
func (p *Pace) remembers(number uint64) bool { return p.sent-number < maxRecent }

// limiter returns the limiter of a name, or nil.
func (p *Pace) limiter(name string) *limiter {
	for _, l := range p.limiters {
		if l.name == name {
			return l
		}
	}
	return nil
}
