package lease

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A trip is a request that asks the shared store for a lease, and settles the one before.
type trip struct {
	asks    int // tokens, beside the cost
	waiting int // tokens that callers wait for
	sent    int64
	steps   int64 // of the clock until then
	drops   int   // of the entry until then
	done    chan struct{}

	release []store.Settlement
	over    []int64 // of pieces that are given back: when the shared store has charged them
	part    *piece  // its spent tokens are settled by the last of release; or nil
}

// begin makes a trip that is to be sent now. It gives back the lease, all of it or what cannot be
// spent meanwhile. The entry is locked.
func (e *entry) begin(asks int, now, steps int64, all bool) *trip {
	e.begun++
	t := &trip{asks: asks, sent: now, steps: steps, drops: e.drops, done: make(chan struct{})}
	back := func(p *piece) {
		n := len(t.release)
		if t.release = e.giveBack(p, t.release); len(t.release) > n {
			t.over = append(t.over, p.over)
		}
	}
	back(e.older)
	e.older = nil
	switch p := e.newer; {
	case p == nil:
	case all || p.closed || now >= p.deadline || p.rest() == 0:
		back(p)
		e.newer = nil
	default:
		if n := p.held() - int(p.rest()); n > 0 {
			t.part = p
			t.release = append(t.release, e.settlement(p, n, n))
		}
	}
	e.trip = t
	e.quiet.Store(math.MaxInt64)
	return t
}

// send sends a trip with the request of a caller, and takes in the answer.
func (s *Store) send(ctx context.Context, e *entry, t *trip, r store.Request) (d store.Decision, err error) {
	defer s.trips.Done()
	hold := &store.Hold{Spend: true, Lease: t.asks}
	r.Hold, r.Release = hold, t.release
	if p := store.Try(func() { d, err = s.asked.Take(ctx, r) }); p != nil {
		err = &store.Error{Class: store.ClassPanic, Err: p}
	}
	s.answered(e, t, hold, &d, err)
	return d, err
}

// sendAhead asks for the next lease while the last of the present one is spent.
func (s *Store) sendAhead(e *entry, now int64, cost int, timeout time.Duration) {
	e.mu.Lock()
	asks := 0
	if e.trip == nil && !e.gone && now >= e.quiet.Load() {
		asks = e.wants(now, cost)
	}
	if asks == 0 || !s.begins() {
		e.quiet.Store(now + int64(e.life)/8)
		e.mu.Unlock()
		return
	}
	t := e.begin(asks, now, s.clock.steps.Load(), false)
	e.mu.Unlock()
	if timeout <= 0 {
		timeout = store.DefaultTimeout
	}
	s.clock.goes(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, _ = s.send(ctx, e, t, store.Request{Home: e.home, Key: e.key, Limits: e.limits, Timeout: timeout})
	})
}

// answered takes in the answer to a trip, and lets those go on that wait for it.
func (s *Store) answered(e *entry, t *trip, hold *store.Hold, d *store.Decision, err error) {
	now := s.now()
	e.mu.Lock()
	for i := range t.release {
		r := &t.release[i]
		switch executed := !notCharged(r.Err); {
		case t.part != nil && i == len(t.release)-1:
			if executed {
				t.part.settles(r.Held)
			}
		case !executed:
			s.ticks.keep(*r, t.over[i])
		}
	}
	granted := 0
	if err == nil && d.Allowed {
		granted = min(max(hold.Leased, 0), t.asks)
	}
	if granted > 0 {
		p := &piece{names: hold.Names, granted: granted, deadline: t.sent + int64(e.life), over: t.sent + overAfter}
		p.left.Store(int64(granted))
		if e.drops != t.drops || s.clock.steps.Load() != t.steps || !s.open.Load() {
			p.close()
		}
		e.older, e.newer = e.newer, p
	}
	if t.asks > 0 {
		e.last, e.scarce = granted, 2*granted < t.asks
		if granted == 0 && err == nil {
			e.rests = now + lives*int64(e.life)
		}
	}
	if err == nil && (d.Source == store.NoSource || d.Source == store.FromStore) {
		e.publish(d, now)
	}
	e.trip = nil
	if err == nil && !e.scarce {
		e.quiet.Store(0)
	} else {
		e.quiet.Store(now + int64(e.life)/8)
	}
	e.mu.Unlock()
	close(t.done)
	s.clock.wake(t)
}

// notCharged reports whether err says that nothing was done.
func notCharged(err error) bool {
	failed, ok := errors.AsType[*store.Error](err)
	return ok && failed.NotCharged
}

// publish shows callers what the shared store has answered. What the node can still spend is not
// held for others: in an admission, it is taken out of what is held.
func (e *entry) publish(d *store.Decision, now int64) {
	b := &book{older: e.older, newer: e.newer, low: -1, debts: d.Debts, store: d.Now, at: now}
	if e.last >= leastAhead {
		b.low = int64(e.last / 4)
	}
	held, rest := e.older.held()+e.newer.held(), e.older.live(now)+e.newer.live(now)
	for _, p := range [2]*piece{e.older, e.newer} {
		if p != nil && !p.closed {
			b.out += int64(p.held())
		}
	}
	for i := range e.limits {
		b.others[i] = max(d.Held[i]-held, 0)
		if d.Allowed {
			d.Held[i] = max(d.Held[i]-int(rest), 0)
		}
	}
	e.book.Store(b)
}

// leastAhead is of how many tokens a lease is replaced before it is used up.
const leastAhead = 4
