package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	away  atomic.Bool
	lost  int // how often its data was lost
}

type pacedCall struct {
	exec, answer chan error // an error is returned to the client instead
	executed     bool
	allowed      bool
	hold         *store.Hold // of a request that holds
	settles      bool
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
	if p.away.Load() {
		return store.Decision{}, errNotExecuted
	}
	c := &pacedCall{exec: make(chan error), answer: make(chan error), hold: r.Hold}
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

func (*paced) Holds() bool { return true }

func (p *paced) Settle(ctx context.Context, all []store.Settlement) {
	fail := func(err error) {
		for i := range all {
			all[i].Err = err
		}
	}
	if p.away.Load() {
		fail(errNotExecuted)
		return
	}
	c := &pacedCall{exec: make(chan error), answer: make(chan error), settles: true}
	p.calls <- c
	if err := <-c.exec; err != nil {
		fail(err)
		return
	}
	for i := range all {
		key := all[i].Key
		all[i].Key = fmt.Sprint(p.lost, key)
		p.store.Settle(ctx, all[i:i+1])
		all[i].Key = key
	}
	c.executed = true
	if err := <-c.answer; err != nil {
		fail(err)
	}
}

// replay is a node and its requests, in a bubble.
type replay struct {
	t        *testing.T
	shared   *paced
	node     *mirror.Store
	policy   []store.Limit
	inFlight []*pacedCall
	mu       sync.Mutex
	charges  []*charge // of a bucket without bounds: see the meter of the model
	running  int       // tokens that are held
	open     []running // calls that hold
	said     []string

	atOnce int // calls at a time; 0: any number
	lent   int // of calls that run
	did    *replayed
}

// running is a call that holds a token, or a place, or both.
type running struct {
	settlement store.Settlement
	tokens     int
	charge     *charge // of a call that was admitted alone
}

// charge is a number of tokens that were spent at an instant.
type charge struct {
	at     time.Time
	tokens int
}

// replayed counts steps.
type replayed struct{ holds, alone, settled, lent int }

func newReplay(t *testing.T, l ratelimit.Limit, atOnce int) *replay {
	shared := &paced{store: memstore.New(memstore.Config{}), probe: memstore.New(memstore.Config{}), calls: make(chan *pacedCall, 100)}
	time.Sleep(time.Second) // its clock is another one
	r := &replay{t: t, shared: shared, policy: policy(t, l), atOnce: atOnce, did: new(replayed)}
	r.node = newMirror(t, shared, mirror.Config{})
	time.Sleep(time.Hour)
	// After a quick answer, on another key, the shared clock is known as exactly as it can be.
	go func() { take(t, r.node, "another key", r.policy, 1) }()
	r.settle()
	r.exec(r.inFlight[0], true)
	r.end(r.inFlight[0], nil)
	if atOnce > 0 {
		r.policy = loans(t, atOnce, l)
	}
	return r
}

func (r *replay) token() time.Duration {
	one, _ := r.policy[0].Cost(1)
	return one.Duration()
}

// spend counts tokens that are spent now. Clocks are read in whole microseconds, far less than a
// quarter of a token.
func (r *replay) spend(n int) *charge {
	c := &charge{time.Now(), n}
	r.charges = append(r.charges, c)
	return c
}

// fits reports whether what is spent and held is within the limit.
func (r *replay) fits() bool {
	var full time.Time
	for _, c := range r.charges {
		if full.Before(c.at) {
			full = c.at
		}
		full = full.Add(time.Duration(c.tokens) * r.token())
	}
	owed := max(time.Until(full), 0) + time.Duration(r.running)*r.token()
	return owed <= r.policy[0].Capacity().Duration()+r.token()/4
}

// admit is charge for a call that may hold. What is held alone counts as spent at once, as the
// node counts it when it asks the shared store again. A call that the shared store admits may run beside
// those that this node admitted alone: it learns of these with their next renewal.
func (r *replay) admit(hold *store.Hold, alone bool) (spent *charge, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ok = true
	if hold != nil && r.atOnce > 0 {
		r.lent++
		r.did.lent++
		ok = r.lent <= r.atOnce || !alone
	}
	if hold != nil {
		r.did.holds++
		if alone {
			r.did.alone++
		}
	}
	if hold != nil && !hold.Spend && !alone {
		r.running++
	} else {
		spent = r.spend(1)
	}
	return spent, r.fits() && ok
}

// settle waits until nothing more happens by itself, and finds the requests that were sent.
func (r *replay) settle() {
	synctest.Wait()
	for len(r.shared.calls) > 0 {
		r.inFlight = append(r.inFlight, <-r.shared.calls)
	}
}

// call makes a request. If the shared store decides it, it counts when it is executed.
func (r *replay) call(away bool) { r.hold(away, nil) }

// hold is call for a request that may hold.
func (r *replay) hold(away bool, hold *store.Hold) {
	time.Sleep(time.Nanosecond) // no two things happen to a node at one instant
	r.shared.away.Store(away)
	go func() {
		d, err := r.node.Take(r.t.Context(), store.Request{Key: "key", Limits: r.policy, Cost: 1, Hold: hold, Timeout: store.DefaultTimeout})
		if err != nil {
			r.t.Errorf("Take returned an error: %v", err)
		}
		var spent *charge
		if d.Allowed && d.Source == store.FromShare {
			var ok bool
			if spent, ok = r.admit(hold, true); !ok {
				r.t.Errorf("more was admitted than the limit, alone:\n\t%s", strings.Join(r.said, "\n\t"))
			}
		}
		if d.Allowed && hold != nil {
			one := running{charge: spent, settlement: store.Settlement{Key: "key", Limits: r.policy, Names: hold.Names, Held: 1}}
			if !hold.Spend {
				one.tokens = 1
			}
			r.mu.Lock()
			r.open = append(r.open, one)
			r.mu.Unlock()
		}
	}()
	r.settle()
	r.shared.away.Store(false)
}

// exec executes a request. If it is silent, its answer will be lost.
func (r *replay) exec(c *pacedCall, silent bool) {
	c.exec <- nil
	r.settle()
	if !c.allowed || silent {
		return
	}
	if _, ok := r.admit(c.hold, false); !ok {
		r.t.Errorf("more was admitted than the limit:\n\t%s", strings.Join(r.said, "\n\t"))
	}
}

// release ends a call, of whose token actual is spent.
func (r *replay) release(i, actual int, away bool) {
	time.Sleep(time.Nanosecond)
	r.mu.Lock()
	one := r.open[i]
	r.open = append(r.open[:i], r.open[i+1:]...)
	one.settlement.Actual = actual * one.tokens
	switch {
	case one.tokens == 0:
	case one.charge == nil:
		r.running--
		r.spend(actual)
	default:
		one.charge.tokens = actual
	}
	if r.atOnce > 0 {
		r.lent--
	}
	r.did.settled++
	r.mu.Unlock()
	r.shared.away.Store(away)
	go func() {
		all := []store.Settlement{one.settlement}
		r.node.Settle(r.t.Context(), all)
		if class := store.ErrorClass(all[0].Err); class != "" && class != store.ClassTimeout {
			r.t.Errorf("Settle returned %v", all[0].Err)
		}
	}()
	r.settle()
	r.shared.away.Store(false)
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
	if slices.ContainsFunc(r.inFlight, func(c *pacedCall) bool { return c.settles }) {
		i = random.IntN(len(r.inFlight)) // no request crosses a settlement
	}
	r.mu.Lock()
	open := len(r.open)
	r.mu.Unlock()
	var hold *store.Hold
	if r.atOnce > 0 || random.IntN(3) == 0 {
		hold = &store.Hold{Spend: r.atOnce > 0 && random.IntN(2) == 0}
	}
	switch {
	case open > 0 && len(r.inFlight) == 0 && random.IntN(2) == 0:
		actual, away := random.IntN(2), random.IntN(3) == 0
		r.say("a call ends that spends %d, while the shared store is down: %v", actual, away)
		r.release(random.IntN(open), actual, away)
	case i == len(r.inFlight):
		r.say("a tick")
		time.Sleep(r.token() / time.Duration(1+random.IntN(2)))
	case i == len(r.inFlight)+1 && len(r.inFlight) < 3:
		r.say("a request, to the shared store, that holds: %v", hold)
		r.hold(false, hold)
	case i >= len(r.inFlight):
		r.say("a request, while the shared store is down, that holds: %v", hold)
		r.hold(true, hold)
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
	did := new(replayed)
	n := testkit.Count(500, 3000)
	for i := range uint64(n) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, i))
			r := newReplay(t, ratelimit.Limit{Rate: 100, Period: time.Second, Burst: 1 + random.IntN(4)}, max(random.IntN(6)-2, 0))
			r.did = did
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
	t.Logf("of %d steps, %d calls held, %d of them alone, %d a place, and %d were settled", 40*n, did.holds, did.alone, did.lent, did.settled)
	if did.alone < n || did.lent < n || did.settled < 2*n {
		t.Errorf("too few steps held and settled: %+v", *did)
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
		{"an answer to a question that was sent before its node knew of what it had admitted alone", 1, func(r *replay) {
			r.call(false)
			r.call(false)
			r.call(false)
			r.end(r.inFlight[0], errNotAnswered)
			first, second := r.inFlight[0], r.inFlight[1]
			time.Sleep(r.token())
			r.call(true)
			r.exec(first, false)
			r.end(first, nil)
			denied := r.inFlight[1]
			r.exec(denied, false)
			r.end(denied, nil)
			time.Sleep(r.token() / 2)
			r.exec(second, false)
			r.end(second, nil)
			if len(r.inFlight) > 0 {
				r.exec(r.inFlight[0], false)
			}
		}},
		{"an answer that crossed others, after one of these was counted beside what was known", 1, func(r *replay) {
			r.call(true)
			r.call(false)
			first := r.inFlight[0]
			r.exec(first, false)
			r.call(false)
			r.call(false)
			second, third := r.inFlight[1], r.inFlight[2]
			time.Sleep(r.token())
			r.exec(second, false)
			r.end(first, nil)
			r.end(r.inFlight[2], errNotAnswered)
			r.exec(third, false)
			r.call(false)
			fourth := r.inFlight[2]
			r.end(third, nil)
			r.exec(fourth, false)
			r.end(fourth, nil)
			r.end(second, nil)
			time.Sleep(r.token() / 2)
			r.call(true)
			if len(r.inFlight) > 0 {
				r.end(r.inFlight[0], errNotAnswered)
			}
		}},
		{"an answer that owes less than was handed over, since no more fits", 1, func(r *replay) {
			r.hold(true, new(store.Hold))
			r.hold(true, new(store.Hold))
			r.release(0, 1, false)
			r.call(false)
			r.call(false)
			first, second := r.inFlight[0], r.inFlight[1]
			r.exec(second, false)
			r.end(second, nil)
			denied := r.inFlight[1]
			r.exec(denied, false)
			r.end(denied, nil)
			r.exec(first, false)
			time.Sleep(r.token())
			r.call(true)
			r.end(first, nil)
			if len(r.inFlight) > 0 {
				r.exec(r.inFlight[0], false)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReplay(t, ratelimit.Limit{Rate: 100, Period: time.Second, Burst: c.burst}, 0)
				c.way(r)
				r.finish()
			})
		})
	}
}
