package storetest

import (
	"context"
	"errors"
	"math/big"
	"runtime"

	"github.com/keyrate/keyrate/store"
)

// buckets calls f for the model's bucket of each limit that has one.
func (s *modelStore) buckets(key string, limits []store.Limit, f func(b *modelBucket, to *terms)) {
	for i := range limits {
		if b := s.m.buckets[nameOf("", key, &limits[i])]; b != nil && b.full != nil {
			f(b, s.m.termsOf(&limits[i].Rate))
		}
	}
}

// A looseStore takes loans without a hold.
type looseStore struct{ *modelStore }

func (s looseStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if r.Hold == nil && r.Cost > 0 {
		r.Hold = &store.Hold{Spend: true}
	}
	return s.modelStore.Take(ctx, r)
}

// A hastyStore charges rates before it finds that a loan has no hold.
type hastyStore struct{ *modelStore }

func (s hastyStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	for _, l := range r.Limits {
		if r.Hold == nil && r.Cost > 0 && !l.Loan() && len(r.Limits) > 1 {
			_, _ = s.modelStore.Take(ctx, store.Request{Key: r.Key, Limits: []store.Limit{l}, Cost: r.Cost})
		}
	}
	return s.modelStore.Take(ctx, r)
}

// A rashStore reads, yields to other goroutines, and then holds.
type rashStore struct{ *modelStore }

func (s rashStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if r.Hold == nil {
		return s.modelStore.Take(ctx, r)
	}
	s.mu.Lock()
	d := s.m.Peek(s.clock(), r)
	s.mu.Unlock()
	runtime.Gosched()
	if d.Allowed {
		s.mu.Lock()
		defer s.mu.Unlock()
		o := s.m.open(d.Now, nameOf(r.Home, r.Key, &r.Limits[0]), &r.Limits[0])
		r.Hold.Names[0] = o.b.hold(0, int64(r.Cost), d.Now)
		o.write(o.spent)
	}
	return d, nil
}

// A tornStore reads, yields to other goroutines, and then writes what a settlement made of
// the bucket that it had read.
type tornStore struct{ *modelStore }

func (s tornStore) Settle(_ context.Context, all []store.Settlement) {
	for i := range all {
		t := &all[i]
		name := nameOf(t.Home, t.Key, &t.Limits[0])
		s.mu.Lock()
		b := s.m.buckets[name]
		before := *b
		s.m.Settle(s.clock(), t)
		after := *b
		*b = before
		s.mu.Unlock()
		runtime.Gosched()
		s.mu.Lock()
		*b = after
		s.mu.Unlock()
	}
}

// A lazyStore settles the first settlement, and finds no fault.
type lazyStore struct{ *modelStore }

func (s lazyStore) Settle(ctx context.Context, all []store.Settlement) {
	s.modelStore.Settle(ctx, all[:min(len(all), 1)])
	if len(all) > 1 {
		all[1].Err = errors.New("no limits")
	}
}

// A carelessStore ignores settlements that are wrong.
type carelessStore struct{ *modelStore }

func (s carelessStore) Settle(ctx context.Context, all []store.Settlement) {
	s.modelStore.Settle(ctx, all)
	for i := range all {
		all[i].Err = nil
	}
}

// holdControls are stores that are wrong about what is held.
func holdControls() []control {
	takes := func(take func(s *modelStore, now int64, r store.Request) store.Decision) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.take = take
			return s
		}
	}
	settles := func(settle func(s *modelStore, now int64, t *store.Settlement)) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.settle = settle
			return s
		}
	}
	// before returns the model with buckets that are changed before each operation.
	before := func(change func(b *modelBucket, to *terms, now int64)) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
				s.buckets(r.Key, r.Limits, func(b *modelBucket, to *terms) { change(b, to, now) })
				return s.m.Take(now, r)
			}
			s.settle = func(s *modelStore, now int64, t *store.Settlement) {
				s.buckets(t.Key, t.Limits, func(b *modelBucket, to *terms) { change(b, to, now) })
				s.m.Settle(now, t)
			}
			return s
		}
	}
	// renews returns the model with another renewal of a hold that is alive, or not.
	renews := func(renew func(o *opened, alive bool, held, now int64) (name int64)) func() store.Store {
		return settles(func(s *modelStore, now int64, t *store.Settlement) {
			if !t.Renew {
				s.m.Settle(now, t)
				return
			}
			for i := range t.Limits {
				if t.Names[i] == 0 {
					continue
				}
				o := s.m.open(now, nameOf(t.Home, t.Key, &t.Limits[i]), &t.Limits[i])
				alive := o.b.named(t.Names[i])
				o.b.release(t.Names[i], int64(t.Held))
				t.Names[i] = renew(o, alive, int64(t.Held), now)
				o.write(o.spent)
			}
			settled := store.Settlement{Key: t.Key, Limits: t.Limits}
			s.m.Settle(now, &settled)
			t.Now, t.Debts = settled.Now, settled.Debts
		})
	}
	// late returns the model with another settlement of a hold that is not alive.
	late := func(change func(t *store.Settlement)) func() store.Store {
		return settles(func(s *modelStore, now int64, t *store.Settlement) {
			if o := s.m.open(now, nameOf(t.Home, t.Key, &t.Limits[0]), &t.Limits[0]); t.Names[0] != 0 && !o.b.named(t.Names[0]) && !t.Renew {
				change(t)
			}
			s.m.Settle(now, t)
		})
	}
	// held returns the model with another way to hold, from a copy of the request's hold.
	held := func(take func(s *modelStore, now int64, r *store.Request) store.Decision) func() store.Store {
		return takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			if r.Hold == nil {
				return s.m.Take(now, r)
			}
			own, theirs := *r.Hold, r.Hold
			r.Hold = &own
			d := take(s, now, &r)
			theirs.Names = own.Names
			return d
		})
	}

	return []control{
		{"does not count what is held", "HoldTakesRoom HoldIsAllOrNothing Model", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			var slots [store.MaxLimits][2]modelSlot
			i := 0
			s.buckets(r.Key, r.Limits, func(b *modelBucket, _ *terms) { slots[i], b.slots = b.slots, [2]modelSlot{}; i++ })
			known := i
			d := s.m.Take(now, r)
			i = 0
			s.buckets(r.Key, r.Limits, func(b *modelBucket, _ *terms) {
				if i < known && r.Hold == nil {
					b.slots = slots[i]
				}
				i++
			})
			return d
		})},
		{"spends what it should hold", "HoldTakesRoom HoldNames SlotEndBecomesDebt Model", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			r.Hold = nil
			return s.m.Take(now, r)
		})},
		{"holds under one limit after the other", "HoldIsAllOrNothing HoldSpend Model", held(func(s *modelStore, now int64, r *store.Request) store.Decision {
			all := store.Decision{Allowed: true, Now: now}
			var names [store.MaxLimits]int64
			for i := range r.Limits {
				one := *r
				one.Limits, one.Known = r.Limits[i:i+1], nil
				d := s.m.Take(now, one)
				all.Debts[i], all.Held[i], names[i] = d.Debts[0], d.Held[0], r.Hold.Names[0]
				all.Allowed = all.Allowed && d.Allowed
			}
			r.Hold.Names = names
			return all
		})},
		{"leaves names of before", "HoldNames", held(func(s *modelStore, now int64, r *store.Request) store.Decision {
			names := r.Hold.Names
			d := s.m.Take(now, *r)
			for i, name := range r.Hold.Names {
				if name == 0 {
					r.Hold.Names[i] = names[i]
				}
			}
			return d
		})},
		{"ignores Spend", "HoldSpend HoldNames Model", held(func(s *modelStore, now int64, r *store.Request) store.Decision {
			r.Hold.Spend = false
			return s.m.Take(now, *r)
		})},
		{"takes the cost of a loan", "LoanLendsAndNeverCharges Model", held(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			s.buckets(r.Key, r.Limits, func(b *modelBucket, to *terms) {
				if to.loan() && d.Allowed {
					b.slots[0].newer += int64(max(r.Cost, 1) - 1)
				}
			})
			return d
		})},
		{"takes a loan without a hold", "LoanWithoutHoldIsAnError", func() store.Store { return looseStore{newModelStore()} }},
		{"charges a call that is an error", "LoanWithoutHoldIsAnError", func() store.Store { return hastyStore{newModelStore()} }},
		{"ignores Least", "LeastGrants Model", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			r.Least = 0
			return s.m.Take(now, r)
		})},
		{"grants Least and no more", "LeastGrants Model", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			r.Cost = min(r.Cost, max(r.Least, r.Cost*min(1, max(0, 1-r.Least))))
			return s.m.Take(now, r)
		})},
		{"does not report what it grants", "LeastGrants Model", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			d.Granted = 0
			return d
		})},
		{"frees nothing", "SettleFreesTheRest LoanLendsAndNeverCharges ConcurrentHolds Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			if !t.Renew {
				t.Names = [store.MaxLimits]int64{}
			}
			s.m.Settle(now, t)
		})},
		{"charges what was held", "SettleFreesTheRest SettleOverruns ConcurrentHolds Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			if t.Held > 0 {
				t.Actual = t.Held
			}
			s.m.Settle(now, t)
		})},
		{"charges nothing that was not held", "SettleOverruns ChargeBeyondRoom Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			t.Actual = min(t.Actual, t.Held)
			s.m.Settle(now, t)
		})},
		{"clamps what is spent beyond the capacity", "SettleOverruns ChargeBeyondRoom Model", before(func(b *modelBucket, _ *terms, _ int64) { b.over = 0 })},
		{"reports no loss", "SettleOverruns LateSettlePaysWhatDrained Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			s.m.Settle(now, t)
			t.Lost = 0
		})},
		{"settles the first of several", "SettlesEach", func() store.Store { return lazyStore{newModelStore()} }},
		{"finds no fault with a settlement", "SettlesEach", func() store.Store { return carelessStore{newModelStore()} }},
		{"lets the end of a slot charge nothing", "SlotEndBecomesDebt LateSettlePaysWhatDrained Model", before(func(b *modelBucket, _ *terms, now int64) {
			for c := range b.slots {
				for s := &b.slots[c]; !s.empty() && s.end <= now; {
					*s = modelSlot{end: s.end + slotLengths[c], older: s.newer}
				}
			}
		})},
		{"never ends a slot", "SlotEndBecomesDebt LoanLendsAndNeverCharges Model", before(func(b *modelBucket, _ *terms, now int64) {
			for c := range b.slots {
				if s := &b.slots[c]; s.end <= now {
					s.end = now + slotLengths[c]
				}
			}
		})},
		{"ends a slot with its first end", "SlotEndBecomesDebt LoanLendsAndNeverCharges Model", before(func(b *modelBucket, _ *terms, _ int64) {
			for c := range b.slots {
				s := &b.slots[c]
				s.older, s.newer = s.older+s.newer, 0
			}
		})},
		{"forgets late spends", "LateSettlePaysWhatDrained Model", late(func(t *store.Settlement) { t.Actual = 0 })},
		{"charges a late settlement in full", "LateSettlePaysWhatDrained Model", late(func(t *store.Settlement) { t.Names = [store.MaxLimits]int64{} })},
		{"has slot numbers as names", "ResetVoidsHolds LateSettlePaysWhatDrained", settles(func(s *modelStore, now int64, t *store.Settlement) {
			for i := range t.Limits {
				o := s.m.open(now, nameOf(t.Home, t.Key, &t.Limits[i]), &t.Limits[i])
				if c := t.Names[i] % 2; t.Names[i] != 0 && !o.b.slots[c].empty() && !o.b.named(t.Names[i]) {
					t.Names[i] = o.b.slots[c].end*2 + c // the only slot that there is now
				}
			}
			s.m.Settle(now, t)
		})},
		{"loses a hold that is renewed", "RenewKeeps SlotEndBecomesDebt Model", renews(func(*opened, bool, int64, int64) int64 { return 0 })},
		{"renews nothing that has ended", "RenewKeeps Model", renews(func(o *opened, alive bool, held, now int64) int64 {
			if !alive {
				return 0
			}
			return o.b.hold(1, held, now)
		})},
		{"renews only where there is room", "RenewKeeps", renews(func(o *opened, _ bool, held, now int64) int64 {
			if !o.loan() && o.room() < held {
				return 0
			}
			return o.b.hold(1, held, now)
		})},
		{"renews for as long as a new hold lasts", "RenewKeeps SlotEndBecomesDebt Model", renews(func(o *opened, _ bool, held, now int64) int64 { return o.b.hold(0, held, now) })},
		{"counts a renewed hold twice", "RenewKeeps Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			if t.Renew {
				for i := range t.Limits {
					o := s.m.open(now, nameOf(t.Home, t.Key, &t.Limits[i]), &t.Limits[i])
					if o.b.named(t.Names[i]) {
						o.b.slots[1].newer += int64(t.Held)
						o.write(o.spent)
					}
				}
			}
			s.m.Settle(now, t)
		})},
		{"keeps holds over a reset", "ResetVoidsHolds Model", func() store.Store {
			s := newModelStore()
			s.reset = func(s *modelStore, now int64, r store.Request) {
				var slots [2]modelSlot
				if b := s.bucket(r); b != nil {
					slots = b.slots
				}
				s.m.Reset(now, r)
				s.bucket(r).slots = slots
			}
			return s
		}},
		{"charges a settlement of before a reset", "ResetVoidsHolds Model", before(func(b *modelBucket, _ *terms, _ int64) { b.reset = 0 })},
		{"frees what is held when the limit changes", "HeldStaysWhenTheLimitChanges Model", before(func(b *modelBucket, to *terms, _ int64) {
			if b.token.Cmp(to.token) != 0 {
				b.slots = [2]modelSlot{}
			}
		})},
		{"cuts what is held to the burst", "HeldStaysWhenTheLimitChanges Model", before(func(b *modelBucket, to *terms, _ int64) {
			for c := range b.slots {
				b.slots[c].newer -= min(b.slots[c].newer, max(b.held()-to.burst, 0))
			}
		})},
		{"cuts what is held to the room", "RenewKeeps", before(func(b *modelBucket, to *terms, now int64) {
			spent := new(big.Rat).Sub(b.full, new(big.Rat).SetInt64(now))
			if spent.Sign() > 0 && b.token.Cmp(to.token) == 0 && !to.loan() {
				for c := range b.slots {
					b.slots[c].newer -= min(b.slots[c].newer, max(b.held()+tokensUp(spent, to.token)-to.burst, 0))
				}
			}
		})},
		{"charges the end of a slot at the new rate", "HeldStaysWhenTheLimitChanges", before(func(b *modelBucket, to *terms, now int64) {
			if b.full.Cmp(new(big.Rat).SetInt64(now)) <= 0 {
				b.token = to.token
			}
		})},
		{"charges the end of a slot at the rate of the last call that wrote", "HeldStaysWhenTheLimitChanges", takes(func(s *modelStore, now int64, r store.Request) store.Decision {
			b := s.bucket(r)
			if b == nil || r.Cost > 0 {
				return s.m.Take(now, r)
			}
			token := b.token
			d := s.m.Take(now, r)
			if b.full.Cmp(new(big.Rat).SetInt64(now)) <= 0 {
				b.token = token
			}
			return d
		})},
		{"reads, then holds", "ConcurrentHolds", func() store.Store { return rashStore{newModelStore()} }},
		{"reads, then settles", "ConcurrentHolds", func() store.Store { return tornStore{newModelStore()} }},
	}
}

// named reports whether a name is that of a present slot.
func (b *modelBucket) named(name int64) bool {
	s := b.slots[name%2]
	return !s.empty() && (name/2 == s.end || name/2 == s.end-slotLengths[name%2])
}

// wrongWhenSetBack are stores that are wrong about what is held when the clock is set back.
var wrongWhenSetBack = map[string]func(s *modelStore){
	"drops what is held": func(s *modelStore) {
		latest := int64(0)
		s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
			if now < latest {
				s.buckets(r.Key, r.Limits, func(b *modelBucket, _ *terms) { b.slots = [2]modelSlot{} })
			}
			latest = now
			return s.m.Take(now, r)
		}
	},
	"keeps the slot in the future": func(s *modelStore) {
		latest := int64(0)
		s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
			latest = max(latest, now)
			return s.m.Take(latest, r)
		}
		s.settle = func(s *modelStore, now int64, t *store.Settlement) {
			s.m.Settle(latest, t)
			t.Now = now
		}
	},
	"keeps the names": func(s *modelStore) {
		s.settle = func(s *modelStore, now int64, t *store.Settlement) {
			o := s.m.open(now, nameOf(t.Home, t.Key, &t.Limits[0]), &t.Limits[0])
			if !o.b.slots[0].empty() && t.Names[0] != 0 {
				t.Names[0] = o.b.slots[0].end * 2
			}
			s.m.Settle(now, t)
		}
	},
}
