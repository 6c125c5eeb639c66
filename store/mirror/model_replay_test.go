package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// paced is a shared store that executes and answers each request when the test says so.
type paced struct {
	store *memstore.Store
	probe *memstore.Store // probes are decided at once
	calls chan *pacedCall
	away  bool
	lost  int // how often its data was lost
}

type pacedCall struct {
	exec, answer chan error // an error is returned to the client instead
	executed     bool
	allowed      bool
}

var (
	errNotExecuted = &store.Error{Class: "connect", Err: errRefused, NotCharged: true}
	errNotAnswered = &store.Error{Class: store.ClassTimeout, Err: context.DeadlineExceeded}
)

func (*paced) SelfTimed() {}

func (p *paced) Reset(ctx context.Context, r store.Request) error {
	return p.probe.Reset(ctx, r)
}

func (p *paced) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if strings.HasPrefix(r.Key, "probe ") {
		return p.probe.Take(ctx, r)
	}
	if p.away {
		return store.Decision{}, errNotExecuted
	}
	c := &pacedCall{exec: make(chan error), answer: make(chan error)}
	p.calls <- c
	if err := <-c.exec; err != nil {
		return store.Decision{}, err
	}
	r.Key = fmt.Sprint(p.lost, r.Key)
	d, err := p.store.Take(ctx, r)
	c.executed, c.allowed = true, d.Allowed && r.Cost > 0 // a read costs nothing
	if failed := <-c.answer; failed != nil {
		return store.Decision{}, failed
	}
	return d, err
}

// replay is a node and its requests, in a bubble.
type replay struct {
	t        *testing.T
	shared   *paced
	node     *mirror.Store
	policy   []store.Limit
	inFlight []*pacedCall
	mu       sync.Mutex
	full     time.Time // of a bucket without bounds: see the meter of the model
	said     []string
}

func newReplay(t *testing.T, l ratelimit.Limit) *replay {
	shared := &paced{store: memstore.New(memstore.Config{}), probe: memstore.New(memstore.Config{}), calls: make(chan *pacedCall, 100)}
	time.Sleep(time.Second) // its clock is another one
	r := &replay{t: t, shared: shared, node: newMirror(t, shared, mirror.Config{}), policy: policy(t, l)}
	time.Sleep(time.Hour)
	// After a quick answer, on another key, the shared clock is known as exactly as it can be.
	go func() { take(t, r.node, "another key", r.policy, 1) }()
	r.settle()
	r.exec(r.inFlight[0], true)
	r.end(r.inFlight[0], nil)
	return r
}

func (r *replay) token() time.Duration {
	one, _ := r.policy[0].Cost(1)
	return one.Duration()
}

// charge counts a request that is admitted now, and reports whether the limit allows it. Clocks
// are read in whole microseconds, far less than a quarter of a token.
func (r *replay) charge() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.full.Before(now) {
		r.full = now
	}
	r.full = r.full.Add(r.token())
	return time.Until(r.full) <= r.policy[0].Capacity().Duration()+r.token()/4
}

// settle waits until nothing more happens by itself, and finds the requests that were sent.
func (r *replay) settle() {
	synctest.Wait()
	for len(r.shared.calls) > 0 {
		r.inFlight = append(r.inFlight, <-r.shared.calls)
	}
}

// call makes a request. If the shared store decides it, it counts when it is executed.
func (r *replay) call(away bool) {
	time.Sleep(time.Nanosecond) // no two things happen to a node at one instant
	r.shared.away = away
	go func() {
		d := take(r.t, r.node, "key", r.policy, 1)
		if d.Allowed && d.Source == store.FromShare && !r.charge() {
			r.t.Errorf("more was admitted than the limit, alone:\n\t%s", strings.Join(r.said, "\n\t"))
		}
	}()
	r.settle()
	r.shared.away = false
}

// exec executes a request. If it is silent, its answer will be lost.
func (r *replay) exec(c *pacedCall, silent bool) {
	c.exec <- nil
	r.settle()
	if c.allowed && !silent && !r.charge() {
		r.t.Errorf("more was admitted than the limit:\n\t%s", strings.Join(r.said, "\n\t"))
	}
}

// end ends a request.
func (r *replay) end(c *pacedCall, err error) {
	for i := range r.inFlight {
		if r.inFlight[i] == c {
			r.inFlight = append(r.inFlight[:i], r.inFlight[i+1:]...)
			break
		}
	}
	time.Sleep(time.Nanosecond)
	if c.executed {
		c.answer <- err
	} else {
		c.exec <- err
	}
	r.settle()
}

func (r *replay) say(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

// step takes a random step.
func (r *replay) step(random *rand.Rand) {
	i := random.IntN(len(r.inFlight) + 3)
	switch {
	case i == len(r.inFlight):
		r.say("a tick")
		time.Sleep(r.token() / time.Duration(1+random.IntN(2)))
	case i == len(r.inFlight)+1 && len(r.inFlight) < 3:
		r.say("a request, to the shared store")
		r.call(false)
	case i >= len(r.inFlight):
		r.say("a request, while the shared store is down")
		r.call(true)
	default:
		c := r.inFlight[i]
		switch what := random.IntN(8); {
		case c.executed:
			r.say("%d is answered", i)
			r.end(c, nil)
		case what == 0:
			r.say("%d is refused", i)
			r.end(c, errNotExecuted)
		case what == 1:
			r.say("%d is given up", i)
			r.end(c, errNotAnswered)
		case what == 2:
			r.say("%d is executed, and given up", i)
			r.exec(c, true)
			r.end(c, errNotAnswered)
		default:
			r.say("%d is executed", i)
			r.exec(c, false)
		}
	}
}

// finish ends all requests.
func (r *replay) finish() {
	for r.settle(); len(r.inFlight) > 0; r.settle() {
		var err error
		if !r.inFlight[0].executed {
			err = errNotExecuted
		}
		r.end(r.inFlight[0], err)
	}
}

// TestModelReplayed: a real node, alone with its shared store, goes random ways through the
// model. It never admits more than the limit, whatever happens to its requests.
func TestModelReplayed(t *testing.T) {
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	for i := range uint64(testkit.Count(500, 3000)) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, i))
			r := newReplay(t, ratelimit.Limit{Rate: 100, Period: time.Second, Burst: 1 + random.IntN(4)})
			for range 40 {
				if r.step(random); t.Failed() {
					break
				}
			}
			r.finish()
		})
		if t.Failed() {
			return
		}
	}
}

// TestModelShortestWays: the shortest ways to the faults that the search of the model found.
func TestModelShortestWays(t *testing.T) {
	for _, c := range []struct {
		name  string
		burst int
		way   func(r *replay)
	}{
		{"what decides alone is dated by its question", 2, func(r *replay) {
			r.call(false)
			time.Sleep(r.token())
			r.exec(r.inFlight[0], false)
			r.end(r.inFlight[0], nil)
			r.call(true)
			r.call(true)
		}},
		{"an answer of the instant at which the unreported debt began", 3, func(r *replay) {
			r.call(false)
			r.exec(r.inFlight[0], false)
			r.end(r.inFlight[0], nil)
			r.call(false)
			r.exec(r.inFlight[0], false)
			r.call(true)
			r.end(r.inFlight[0], nil)
			r.call(false)
			if len(r.inFlight) > 0 {
				r.exec(r.inFlight[0], false)
			}
		}},
		{"a lost answer that no other answer includes", 2, func(r *replay) {
			r.call(false)
			r.call(false)
			r.exec(r.inFlight[0], false)
			r.end(r.inFlight[0], nil)
			r.end(r.inFlight[0], errNotAnswered)
			r.call(false)
			if len(r.inFlight) > 0 {
				r.exec(r.inFlight[0], false)
			}
		}},
		{"two answers of one instant that cross", 2, func(r *replay) {
			r.call(false)
			time.Sleep(r.token())
			r.call(false)
			first, second := r.inFlight[0], r.inFlight[1]
			r.exec(second, false)
			r.exec(first, false)
			r.end(first, nil)
			r.end(second, nil)
			r.call(true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReplay(t, ratelimit.Limit{Rate: 100, Period: time.Second, Burst: c.burst})
				c.way(r)
				r.finish()
			})
		})
	}
}
