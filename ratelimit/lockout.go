package ratelimit

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/internal/text"
	"github.com/keyrate/keyrate/store"
)

// A Lockout blocks a key that goes on calling although a limit denies it. The zero Lockout
// does nothing.
//
// The first denial begins to count. If the limit has denied After calls of the key by the time
// that Within has passed, the key is blocked for the duration For, and the last of these
// denials reports that already. Calls during a lock-out do not count, so that it ends on time
// however often the client tries. It is a [Block] that this node sets: nodes count for themselves.
// Denials of Wait, of Peek and in shadow mode do not count, and [Limiter.Reset] ends a lock-out.
type Lockout struct {
	After  int           // denials, from 1 to 1,000,000
	Within time.Duration // a whole number of microseconds, at most [gcra.MaxRefill]
	For    time.Duration // the same
}

// LockedOut returns l with a Lockout: after so many denials within a time, for a time.
func (l Limit) LockedOut(after int, within, length time.Duration) Limit {
	l.Lockout = Lockout{after, within, length}
	return l
}

const mostDenials = 1_000_000

// wantLockout is what a Lockout must be.
var wantLockout = fmt.Sprintf(`must have from 1 to %d denials, and two times of a whole number of microseconds up to %v, as in "5/s;lockout=20/1m:10m": after 20 denials in a minute, for 10 minutes`, mostDenials, gcra.MaxRefill)

func (o Lockout) valid() bool {
	ok := func(d time.Duration) bool {
		return d >= time.Microsecond && d%time.Microsecond == 0 && d <= gcra.MaxRefill
	}
	return o == Lockout{} || o.After >= 1 && o.After <= mostDenials && ok(o.Within) && ok(o.For)
}

// String returns the text of o in that of a limit, such as "20/m:10m".
func (o Lockout) String() string {
	return fmt.Sprintf("%d/%s:%s", o.After, text.FormatPeriod(o.Within), text.FormatPeriod(o.For))
}

func parseLockout(s string) (o Lockout, ok bool) {
	after, rest, found := strings.Cut(s, "/")
	within, length, found2 := strings.Cut(rest, ":")
	var errs [3]error
	o.After, errs[0] = text.ParseCount(after)
	o.Within, errs[1] = text.ParsePeriod(within)
	o.For, errs[2] = text.ParsePeriod(length)
	return o, found && found2 && errs == [3]error{} && o.After > 0 && o.valid()
}

// lockouts are those of the keys of a limiter. The zero value has none, until it has seeds.
type lockouts struct {
	seeds  [2]maphash.Seed
	count  atomic.Int64 // of entries in all shards
	shards [lockShards]lockShard
}

type lockShard struct {
	mu      sync.Mutex
	entries map[lockID]*lockEntry
	swept   time.Time
}

// A lockID stands for a key and a limit.
type lockID [2]uint64

// A lockEntry counts denials, or is a lock-out.
type lockEntry struct {
	until  time.Time // when the time of counting is over
	denied int
	block  *blocking
}

// over reports whether e no longer matters.
func (e *lockEntry) over(now time.Time) bool {
	if e.block != nil {
		return e.block.wait() == 0
	}
	return !now.Before(e.until)
}

// Memory is bounded: 65,536 keys that are denied, of 370 bytes each if they are locked out. Of more keys at a time,
// denials do not count.
const (
	lockShards   = 16
	lockPerShard = 4096
)

func (all *lockouts) id(key, limit string) lockID {
	var id lockID
	for i, seed := range all.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		_, _ = h.WriteString(limit)
		_ = h.WriteByte(0) // no name contains one
		_, _ = h.WriteString(key)
		id[i] = h.Sum64()
	}
	return id
}

func (all *lockouts) shard(id lockID) *lockShard { return &all.shards[id[0]%lockShards] }

// of returns the lock-out of a key under one of the limits of p, or nil.
func (all *lockouts) of(key string, p *Policy) *blocking {
	if all.count.Load() == 0 {
		return nil
	}
	for i := range p.written {
		if p.written[i].Lockout == (Lockout{}) {
			continue
		}
		id := all.id(key, p.written[i].Name)
		s := all.shard(id)
		s.mu.Lock()
		e := s.entries[id]
		var b *blocking
		if e != nil {
			b = e.block
		}
		s.mu.Unlock()
		if b != nil && b.wait() > 0 {
			return b
		}
	}
	return nil
}

// denied counts a denial by a limit, and returns the lock-out that it begins, or nil.
func (all *lockouts) denied(key string, l *Limit) *blocking {
	id, now := all.id(key, l.Name), time.Now()
	s := all.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	switch {
	case e == nil && !all.room(s, now):
		return nil
	case e == nil:
		e = new(lockEntry)
		s.entries[id] = e
		all.count.Add(1)
		e.until = now.Add(l.Lockout.Within)
	case e.block != nil && e.block.wait() > 0: // a call that was decided before
		return e.block
	case e.over(now):
		*e = lockEntry{until: now.Add(l.Lockout.Within)}
	}
	if e.denied++; e.denied < l.Lockout.After {
		return nil
	}
	end := now.Add(l.Lockout.For)
	e.block = blocked(Block{Until: end, Reason: "lockout of " + l.Name}, nil).block
	e.block.end = end // to the nanosecond
	return e.block
}

// room makes room for an entry, and reports whether there is.
func (all *lockouts) room(s *lockShard, now time.Time) bool {
	if s.entries == nil {
		s.entries = make(map[lockID]*lockEntry)
	}
	if len(s.entries) < lockPerShard {
		return true
	}
	if now.Sub(s.swept) < time.Second { // or a flood would sweep all the time
		return false
	}
	s.swept = now
	for id, e := range s.entries {
		if e.over(now) {
			delete(s.entries, id)
			all.count.Add(-1)
		}
	}
	return len(s.entries) < lockPerShard
}

// forget ends the lock-outs of a key under limits.
func (all *lockouts) forget(key string, limits []store.Limit) {
	if all.count.Load() == 0 {
		return
	}
	for i := range limits {
		id := all.id(key, limits[i].Name)
		s := all.shard(id)
		s.mu.Lock()
		if s.entries[id] != nil {
			delete(s.entries, id)
			all.count.Add(-1)
		}
		s.mu.Unlock()
	}
}

// lockedOut returns the policy of a result about a key that b locks out of p: it decides nothing, and
// its limits are those that p enforces for the key.
func (p *Policy) lockedOut(b *blocking, key string) *Policy {
	if p.phases != nil {
		p = p.phases.of(key, p.home).now().policy
	}
	return &Policy{block: b, written: p.written, beside: p.beside}
}

// lockOut makes a denial the answer to a key that is locked out, if it begins a lock-out.
func (l *Limiter) lockOut(key string, p *Policy, a *ask, r *Result) {
	if !r.denied || r.shadow || a.charge == 0 || a.waits {
		return
	}
	for i := range p.written {
		if p.written[i].Lockout == (Lockout{}) || !r.states[i].lacks(&p.limits[i], r.cost) && i != int(r.deciding) {
			continue
		}
		if b := l.lockouts.denied(key, &p.written[i]); b != nil {
			r.stop(b, b.wait(), a)
			return
		}
	}
}
