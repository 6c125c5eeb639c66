package storetest

import (
	"context"
	"math"

	"github.com/keyrate/keyrate/store"
)

// A releasing store makes the settlements of a request in its own way.
type releasing struct {
	*modelStore
	take func(s *modelStore, r store.Request) (store.Decision, error)
}

func (s releasing) Take(_ context.Context, r store.Request) (store.Decision, error) {
	return s.take(s.modelStore, r)
}

// leaseControls are stores that are wrong about leases, and about settlements of requests.
func leaseControls() []control {
	// leases returns the model with another way to lease, from a copy of the request's hold.
	leases := func(take func(s *modelStore, now int64, r *store.Request) store.Decision) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
				if r.Hold == nil || r.Hold.Lease <= 0 {
					return s.m.Take(now, r)
				}
				own, theirs := *r.Hold, r.Hold
				r.Hold = &own
				d := take(s, now, &r)
				theirs.Names, theirs.Leased = own.Names, own.Leased
				return d
			}
			return s
		}
	}
	// more holds n tokens more under the ith limit.
	more := func(s *modelStore, r *store.Request, d *store.Decision, i, n int) {
		o := s.m.open(d.Now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
		r.Hold.Names[i] = o.b.hold(0, int64(n), d.Now)
		o.write(o.spent)
		d.Held[i] += n
	}
	// beyond leases what wrong returns for each limit, less what is held anyway.
	beyond := func(wrong func(o *opened, r *store.Request) int64) func() store.Store {
		return leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			want := int64(r.Hold.Lease)
			for i := range r.Limits {
				o := s.m.open(now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
				if o.loan() {
					return d
				}
				want = min(want, wrong(o, r))
			}
			if n := int(want); d.Allowed && n > 0 && r.Hold.Spend {
				for i := range r.Limits {
					more(s, r, &d, i, n)
				}
				r.Hold.Leased += n
			}
			return d
		})
	}
	settles := func(settle func(s *modelStore, now int64, t *store.Settlement)) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.settle = settle
			return s
		}
	}
	releases := func(take func(s *modelStore, r store.Request) (store.Decision, error)) func() store.Store {
		return func() store.Store { return releasing{newModelStore(), take} }
	}
	return []control{
		{"ignores leases", "LeaseHoldsBesideTheCost LeaseEnds ReleaseComesFirst Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			r.Hold.Lease = 0
			return s.m.Take(now, *r)
		})},
		{"spends what it leases", "LeaseHoldsBesideTheCost LeaseEnds Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			probe := *r
			probe.Hold = nil
			d := s.m.Take(now, probe)
			if d.Allowed && r.Hold.Spend && r.Cost >= 0 {
				room := r.Hold.Lease
				for i := range r.Limits {
					room = min(room, r.Limits[i].Remaining(d.Debts[i])-d.Held[i], r.Limits[i].Burst()/2)
				}
				probe.Cost, r.Hold.Leased = max(room, 0), max(room, 0)
				probe.Known, probe.Least = nil, 0
				granted := d.Granted
				d = s.m.Take(now, probe)
				d.Granted = granted
			}
			return d
		})},
		{"leases nothing to a call of cost 0", "LeaseHoldsBesideTheCost Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			if r.Cost == 0 {
				r.Hold.Lease = 0
			}
			return s.m.Take(now, *r)
		})},
		{"does not report what it leases", "LeaseHoldsBesideTheCost LeaseOfHalfTheBurst Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			r.Hold.Leased = 0
			return d
		})},
		{"leaves what another call was leased", "CostBeforeLease", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			before := r.Hold.Leased
			d := s.m.Take(now, *r)
			if r.Hold.Leased == 0 {
				r.Hold.Leased = before
			}
			return d
		})},
		{"takes the lease before the cost", "CostBeforeLease Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			first := *r
			first.Cost, first.Least = 0, 0
			d := s.m.Take(now, first)
			if d.Allowed && r.Cost != 0 {
				names, leased := r.Hold.Names, r.Hold.Leased
				rest := *r
				rest.Hold = &store.Hold{Spend: true}
				d = s.m.Take(now, rest)
				r.Hold.Names, r.Hold.Leased = names, leased
			}
			return d
		})},
		{"leases to a call that it denies", "CostBeforeLease Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			if !d.Allowed && r.Cost > 0 {
				lease := *r
				lease.Cost, lease.Least = 0, 0
				d = s.m.Take(now, lease)
				d.Allowed = false
			}
			return d
		})},
		{"leases more than there is room for", "CostBeforeLease Model", beyond(func(o *opened, _ *store.Request) int64 {
			return o.burst/2 - o.b.slots[0].newer - o.b.slots[0].older
		})},
		{"leases the whole room", "LeaseOfHalfTheBurst Model", beyond(func(o *opened, _ *store.Request) int64 { return o.room() })},
		{"leases half the burst each time", "LeaseOfHalfTheBurst", beyond(func(o *opened, r *store.Request) int64 {
			return min(o.room(), o.burst/2-int64(r.Hold.Leased))
		})},
		{"counts renewed holds as leases", "LeaseOfHalfTheBurst Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			for i := range r.Limits {
				o := s.m.open(now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
				r.Hold.Lease = min(r.Hold.Lease, int(o.burst/2-o.b.held()))
			}
			return s.m.Take(now, *r)
		})},
		{"counts holds of the present slot alone", "LeaseOfHalfTheBurst", beyond(func(o *opened, _ *store.Request) int64 {
			return min(o.room(), o.b.slots[0].older)
		})},
		{"leases what each limit has", "LeaseIsTheSameInAllLimits Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			if n := r.Hold.Leased; n > 0 && n < r.Hold.Lease {
				for i := range r.Limits {
					o := s.m.open(now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
					if extra := min(o.leasable(0), int64(r.Hold.Lease-n)); extra > 0 {
						more(s, r, &d, i, int(extra))
					}
				}
			}
			return d
		})},
		{"leases under a loan", "NoLeaseUnderALoan Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			if r.Limits[0].Loan() && d.Allowed && d.Held[0] < r.Limits[0].Burst() {
				more(s, r, &d, 0, 1)
				r.Hold.Leased = 1
			}
			return d
		})},
		{"leases to a call that holds its cost", "NoLeaseUnderALoan Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			if !r.Hold.Spend && d.Allowed && !r.Limits[0].Loan() {
				r.Hold.Leased = 1
			}
			return d
		})},
		{"leases for as long as a renewed hold lasts", "LeaseEnds Model", leases(func(s *modelStore, now int64, r *store.Request) store.Decision {
			d := s.m.Take(now, *r)
			for i := range r.Limits {
				if name := r.Hold.Names[i]; name != 0 && r.Hold.Leased > 0 {
					o := s.m.open(now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
					o.b.release(name, int64(r.Hold.Leased))
					r.Hold.Names[i] = o.b.hold(1, int64(r.Hold.Leased), now)
					o.write(o.spent)
				}
			}
			return d
		})},
		{"frees the rest with a part", "SettlesInParts ReleaseComesFirst Model", settles(func(s *modelStore, now int64, t *store.Settlement) {
			held := t.Held
			if !t.Renew {
				t.Held = math.MaxInt32
			}
			s.m.Settle(now, t)
			t.Held = held
		})},
		{"ignores the settlements of a request", "ReleaseComesFirst ReleaseHasResults Model", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			r.Release = nil
			return s.Take(context.Background(), r)
		})},
		{"settles after its decision", "ReleaseComesFirst Model", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			release := r.Release
			r.Release = nil
			d, err := s.Take(context.Background(), r)
			s.Settle(context.Background(), release)
			return d, err
		})},
		{"settles with calls alone that it admits", "ReleaseComesFirst Model", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			s.mu.Lock()
			if len(r.Release) > 0 && len(r.Limits) > 0 {
				without := r
				without.Release = nil
				if d := s.m.Peek(s.clock(), without); !d.Allowed {
					for i := range r.Release {
						r.Release[i].Now, r.Release[i].Err = s.clock(), nil
					}
					r.Release = nil
				}
			}
			s.mu.Unlock()
			return s.Take(context.Background(), r)
		})},
		{"settles the first settlement of a request", "ReleaseComesFirst ReleaseHasResults", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			r.Release = r.Release[:min(len(r.Release), 1)]
			return s.Take(context.Background(), r)
		})},
		{"reports no results of settlements that come with a request", "ReleaseHasResults Model", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			r.Release = append([]store.Settlement(nil), r.Release...)
			return s.Take(context.Background(), r)
		})},
		{"loses settlements that come with a wrong request", "ReleaseHasResults", releases(func(s *modelStore, r store.Request) (store.Decision, error) {
			if len(r.Limits) == 0 {
				r.Release = nil
			}
			return s.Take(context.Background(), r)
		})},
	}
}
