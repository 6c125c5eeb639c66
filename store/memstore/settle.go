package memstore

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Holds implements [store.Holder].
func (s *Store) Holds() bool { return true }

// Settle implements [store.Holder]. It heeds no context: it never waits.
func (s *Store) Settle(_ context.Context, all []store.Settlement) {
	for i := range all {
		all[i].Err = nil
		if err := s.settleOne(&all[i]); err != nil {
			all[i].Err = &store.Error{Class: store.ClassOther, Err: err, NotCharged: true}
		}
	}
}

func (s *Store) settleOne(t *store.Settlement) error {
	if err := s.usable(t.Limits); err != nil {
		return err
	}
	owners := s.owners(t.Home, t.Key)
	shard := s.shard(owners.key)
	now := s.now()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	now = shard.advance(now)
	t.Now, t.Lost = now, 0
	for i := range t.Limits {
		l := &t.Limits[i]
		s.settlePart(shard, &part{limit: l, id: owners.id(l)}, t, i, now)
	}
	return nil
}

// settlePart settles, renews or charges in the bucket of the ith limit.
func (s *Store) settlePart(shard *shard, p *part, t *store.Settlement, i int, now int64) {
	l := p.limit
	s.open(shard, p, now)
	held, actual := settled(l, t.Held, t.Actual)
	name := t.Names[i]
	if name == spentAtOnce {
		name, actual = 0, max(0, actual-held) // the rest was paid
	}
	lost := 0
	switch {
	case t.Renew && name != 0:
		t.Names[i] = p.whole.Renew(name, held, now)
	case t.Renew:
	case name != 0:
		p.spent, lost = p.whole.Settle(&l.Rate, p.spent, name, held, actual, s.resets.since(p.id, gcra.Began(name)), now)
	case actual > 0:
		p.spent, lost = p.whole.Charge(&l.Rate, p.spent, actual, now)
	}
	t.Lost = max(t.Lost, lost)
	t.Debts[i] = p.spent
	if !s.keep(shard, p, now) && p.spent != (gcra.Debt{}) {
		s.overflow.charge(l, p.id, min(actual, l.Burst()), p.spent, now)
	}
}

// settled returns what a settlement means for a limit: a loan holds one, and is not charged.
func settled(l *store.Limit, held, actual int) (int, int) {
	if l.Loan() {
		return 1, 0
	}
	return max(held, 0), int(min(max(int64(actual), 0), 2*gcra.MaxBurst))
}
