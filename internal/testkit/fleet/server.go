package fleet

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A Server is the shared store of a fleet: the arithmetic of package gcra, on a clock of its own.
type Server struct {
	// Naive makes it ignore what is held: room is the burst without the debt.
	Naive bool
	// Uncapped makes it lease all that there is room for.
	Uncapped bool

	Trips   int // requests and settlements that it executed; a batch is one
	Granted int // tokens that it handed out
	Back    int // tokens that came back
	MostOut int // tokens that were leased at once, of one bucket, beyond half of its burst
	Twice   int // settlements of more than what was held under their name
	buckets map[bucketID]*bucket
	names   map[nameID]int // how many tokens are held
}

type nameID struct {
	bucketID
	name int64
}

type bucketID struct{ home, key, limit string }

type bucket struct {
	gcra.Bucket
	reset int64
}

func idOf(home, key string, l *store.Limit) bucketID {
	if l.Shared {
		key = ""
	}
	return bucketID{home, key, l.Name}
}

func (s *Server) bucket(home, key string, l *store.Limit) *bucket {
	id := idOf(home, key, l)
	b := s.buckets[id]
	if b == nil {
		if s.buckets == nil {
			s.buckets, s.names = make(map[bucketID]*bucket), make(map[nameID]int)
		}
		b = new(bucket)
		s.buckets[id] = b
	}
	return b
}

// Take decides a request at the instant now, in microseconds.
func (s *Server) Take(r *store.Request, now int64) (d store.Decision) {
	s.Trips++
	for i := range r.Release {
		s.settle(&r.Release[i], now)
	}
	d.Now, d.Allowed = now, true
	var all [store.MaxLimits]*bucket
	for i := range r.Limits {
		l := &r.Limits[i]
		b := s.bucket(r.Home, r.Key, l)
		all[i] = b
		d.Debts[i], _, _ = b.Open(&l.Rate, now)
		d.Allowed = d.Allowed && s.room(b, l, d.Debts[i]) >= r.Cost
	}
	leased := 0
	if h := r.Hold; h != nil {
		h.Names, h.Leased = [store.MaxLimits]int64{}, 0
		if d.Allowed {
			leased = h.Lease
			for i := range r.Limits {
				l := &r.Limits[i]
				slot := all[i].Slots[gcra.Short]
				room := s.room(all[i], l, d.Debts[i]) - r.Cost
				if !s.Naive && !s.Uncapped {
					room = min(room, l.Burst()/2-slot.Newer-slot.Older)
				}
				leased = max(min(leased, room), 0)
			}
			h.Leased = leased
		}
	}
	if d.Allowed {
		s.Granted += r.Cost + leased
	}
	for i := range r.Limits {
		l := &r.Limits[i]
		if d.Allowed {
			cost, _ := l.Cost(r.Cost)
			d.Debts[i] = l.Add(d.Debts[i], cost)
			if leased > 0 {
				r.Hold.Names[i] = all[i].Hold(leased, now)
				s.names[nameID{idOf(r.Home, r.Key, l), r.Hold.Names[i]}] += leased
			}
		}
		all[i].Spend(&l.Rate, d.Debts[i], now)
		d.Held[i] = all[i].Held()
		s.MostOut = max(s.MostOut, all[i].Slots[gcra.Short].Newer+all[i].Slots[gcra.Short].Older-l.Burst()/2)
	}
	return d
}

// room returns how many tokens a bucket has for a request.
func (s *Server) room(b *bucket, l *store.Limit, spent gcra.Debt) int {
	if s.Naive {
		return l.Remaining(spent)
	}
	return b.Room(&l.Rate, spent)
}

// Settle makes settlements at the instant now.
func (s *Server) Settle(all []store.Settlement, now int64) {
	s.Trips++
	for i := range all {
		s.settle(&all[i], now)
	}
}

func (s *Server) settle(t *store.Settlement, now int64) {
	t.Now, t.Err = now, nil
	for i := range t.Limits {
		l := &t.Limits[i]
		b := s.bucket(t.Home, t.Key, l)
		spent, _, _ := b.Open(&l.Rate, now)
		id, before := nameID{idOf(t.Home, t.Key, l), t.Names[i]}, b.Held()
		if s.names[id] -= t.Held; s.names[id] < 0 {
			s.Twice++
		}
		t.Debts[i], t.Lost = b.Settle(&l.Rate, spent, t.Names[i], t.Held, t.Actual, b.reset, now)
		if i == 0 {
			s.Back += max(before-b.Held()-t.Actual, 0)
		}
	}
}

// Reset fills the buckets of a request.
func (s *Server) Reset(r *store.Request, now int64) {
	for i := range r.Limits {
		*s.bucket(r.Home, r.Key, &r.Limits[i]) = bucket{reset: now}
	}
}

// Room returns how many tokens a bucket has for a call.
func (s *Server) Room(key string, l *store.Limit, now int64) int {
	b := s.bucket("", key, l)
	spent, _, _ := b.Open(&l.Rate, now)
	return b.Room(&l.Rate, spent)
}

// Spent returns how many tokens of a bucket are a debt, rounded up.
func (s *Server) Spent(key string, l *store.Limit, now int64) int {
	spent, _, _ := s.bucket("", key, l).Open(&l.Rate, now)
	return l.Burst() - l.Remaining(spent)
}

// Held returns how many tokens of a bucket are held.
func (s *Server) Held(key string, l *store.Limit, now int64) int {
	b := s.bucket("", key, l)
	b.Open(&l.Rate, now)
	return b.Held()
}
