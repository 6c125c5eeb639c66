package lease

import (
	"context"
	"hash/maphash"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Take implements [store.Store]. A call that holds tokens, takes what is there, brings knowledge,
// or costs nothing goes to the shared store as it is, and so does one under a limit on concurrent
// calls. Any other is decided by the lease of its key, if that covers the cost.
func (s *Store) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	switch {
	case r.Cost < 0 || r.Hold != nil || r.Least != 0 || r.Known != nil || len(r.Release) != 0 || !s.open.Load():
		return s.straight(ctx, r)
	case r.Cost == 0:
		return s.look(ctx, r)
	}
	hash := s.hash(r.Home, r.Key)
	now := s.now()
	e := s.table.find(hash, r.Home, r.Key, r.Limits)
	if e != nil {
		b := e.book.Load()
		if left, ok := b.spend(e.limits, r.Cost, now, &d); ok {
			if left <= b.low && e.quiet.Load() <= now {
				s.sendAhead(e, now, r.Cost, r.Timeout)
			}
			return d, nil
		}
	} else if e = s.begun(hash, &r, now); e == nil {
		return s.straight(ctx, r)
	}
	e.others.Add(int64(r.Cost))
	return s.takeWithout(ctx, r, e, now)
}

// TakeLeased implements [store.LeaseTaker].
func (s *Store) TakeLeased(key string, limits []store.Limit, n int) (debt gcra.Debt, held int, ok bool) {
	if n <= 0 || !s.open.Load() {
		return debt, 0, false
	}
	e := s.table.find(maphash.String(s.seed, key), "", key, limits)
	if e == nil {
		return debt, 0, false
	}
	now := s.now()
	b := e.book.Load()
	left, ok := b.take(n, now)
	if !ok {
		return debt, 0, false
	}
	if left <= b.low && e.quiet.Load() <= now {
		s.sendAhead(e, now, n, 0)
	}
	return b.debt(0, &e.limits[0], b.spent(left, n), b.passed(now)), b.others[0], true
}

// Self implements [store.LeaseTaker]. The zero Store has only Take, which returns an error.
func (s *Store) Self() store.Store {
	if s.shared == nil {
		return nil
	}
	return s
}

// look asks the shared store for the state of a key. What this node can spend is not held for
// others.
func (s *Store) look(ctx context.Context, r store.Request) (store.Decision, error) {
	e := s.table.find(s.hash(r.Home, r.Key), r.Home, r.Key, r.Limits)
	if e == nil {
		return s.straight(ctx, r)
	}
	e.mu.Lock()
	begun, away := e.begun, e.trip != nil
	e.mu.Unlock()
	d, err := s.straight(ctx, r)
	if err != nil || away || d.Source != store.NoSource && d.Source != store.FromStore {
		return d, err
	}
	now := s.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trip == nil && e.begun == begun {
		rest := e.older.live(now) + e.newer.live(now)
		for i := range r.Limits {
			d.Held[i] = max(d.Held[i]-int(rest), 0)
		}
	}
	return d, nil
}

// straight asks the shared store.
func (s *Store) straight(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.asked == nil {
		return store.Decision{}, errZero
	}
	return s.asked.Take(ctx, r)
}

// hash returns the hash of a key in a home, by a secret seed.
func (s *Store) hash(home, key string) uint64 {
	h := maphash.String(s.seed, key)
	if home != "" {
		h ^= maphash.String(s.seed, home) * 0x9e3779b97f4a7c15
	}
	return h
}

// begun counts a call of a key without a lease. If its callers ask for enough, it returns a new
// entry.
func (s *Store) begun(hash uint64, r *store.Request, now int64) *entry {
	if len(r.Limits) == 0 || len(r.Limits) > store.MaxLimits {
		return nil
	}
	life, most := lifeOf(r.Limits)
	if !worth(most, r.Cost) {
		return nil
	}
	t := s.rates.count(hash^r.Limits[0].NameHash(), tally(r.Cost), now, life)
	if !worth(min(t.wants(), most), r.Cost) || s.table.used.Load() >= s.table.most {
		return nil
	}
	e := s.table.add(&entry{ // the key may be a part of a larger string
		hash: hash, home: strings.Clone(r.Home), key: strings.Clone(r.Key), limits: r.Limits, life: life, most: most,
		tally: t - tally(r.Cost), at: now, seenAt: now,
	})
	if e != nil {
		s.ticks.start(s)
	}
	return e
}

// takeWithout decides a call that no lease covers: it asks for the next one, or waits for it, or
// goes to the shared store as it is.
func (s *Store) takeWithout(ctx context.Context, r store.Request, e *entry, now int64) (d store.Decision, err error) {
	if r.Timeout <= 0 {
		r.Timeout = store.DefaultTimeout
	}
	e.mu.Lock()
	b := e.book.Load()
	if _, ok := b.spend(e.limits, r.Cost, now, &d); ok { // a trip has ended meanwhile
		e.mu.Unlock()
		e.others.Add(-int64(r.Cost))
		return d, nil
	}
	if t := e.trip; t != nil {
		waits := !e.scarce && r.Cost <= t.asks-t.waiting
		if waits {
			t.waiting += r.Cost
		}
		e.mu.Unlock()
		if waits {
			now = s.wait(ctx, &r, t, now)
			if _, ok := e.book.Load().spend(e.limits, r.Cost, now, &d); ok {
				e.others.Add(-int64(r.Cost))
				return d, nil
			}
		}
		return s.beside(ctx, r, e, now)
	}
	asks := 0
	if !e.gone && !b.alive(now) && ctx.Err() == nil {
		asks = e.wants(now, r.Cost)
	}
	if asks == 0 || !s.begins() {
		e.mu.Unlock()
		return s.beside(ctx, r, e, now)
	}
	t := e.begin(asks, now, s.clock.steps.Load(), true) // what is left does not cover the call
	e.mu.Unlock()
	return s.send(ctx, e, t, r)
}

// beside asks the shared store beside a lease. If that denies the call for want of what this node
// has leased, the node gives it back and asks once more.
func (s *Store) beside(ctx context.Context, r store.Request, e *entry, now int64) (store.Decision, error) {
	e.mu.Lock()
	begun, away := e.begun, e.trip != nil
	e.mu.Unlock()
	d, err := s.straight(ctx, r)
	if err != nil || d.Source != store.NoSource && d.Source != store.FromStore {
		return d, err
	}
	after := s.now()
	e.mu.Lock()
	if e.trip != nil || e.gone || e.begun != begun {
		e.mu.Unlock()
		return d, nil
	}
	r.Timeout -= time.Duration(after - now)
	if d.Allowed || r.Timeout <= 0 || !e.lacks(&r, &d) || !s.begins() {
		if e.book.Load().before(&d, away) {
			e.publish(&d, after)
		}
		e.mu.Unlock()
		return d, nil
	}
	t := e.begin(0, after, s.clock.steps.Load(), true)
	e.mu.Unlock()
	return s.send(ctx, e, t, r)
}

// lacks reports whether a denied call would have been admitted without the lease.
func (e *entry) lacks(r *store.Request, d *store.Decision) bool {
	rest := int(e.older.rest() + e.newer.rest())
	if rest == 0 {
		return false
	}
	for i := range r.Limits {
		l := &r.Limits[i]
		if l.Remaining(d.Debts[i])-d.Held[i]+rest < r.Cost {
			return false
		}
	}
	return true
}

// alive reports whether more is left than callers spend while the next lease is on its way.
func (b *book) alive(now int64) bool {
	if b == nil {
		return false
	}
	n := int64(0)
	for _, p := range [2]*piece{b.older, b.newer} {
		n += p.live(now)
	}
	return n > max(b.low, 0)
}

// wait returns when a trip has ended, or after half of the time that the caller has: then it can
// still ask the shared store itself. The time that it takes counts.
func (s *Store) wait(ctx context.Context, r *store.Request, t *trip, now int64) int64 {
	if s.clock.virtual != nil {
		s.clock.virtual.Wait(t, r.Timeout/2)
	} else {
		timer := time.NewTimer(r.Timeout / 2)
		select {
		case <-t.done:
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	after := s.now()
	r.Timeout = max(r.Timeout-time.Duration(after-now), 1) // 0 would be the default
	return after
}
