package fleet

import (
	"fmt"

	"github.com/keyrate/keyrate/store"
)

// An Ideal is a bucket that is charged with what callers spend at the instant when they do, in
// nanoseconds; as everywhere, the instant counts in whole microseconds. It has neither trips nor
// leases. The limit's T must be a whole number of nanoseconds.
type Ideal struct {
	token, capacity int64
	full            int64 // when it is full
	Over            int64 // by how many nanoseconds it was overdrawn at most
}

// NewIdeal returns a full bucket.
func NewIdeal(l *store.Limit) *Ideal {
	num, den := l.Interval()
	if num*1000%uint64(den) != 0 {
		panic(fmt.Sprintf("fleet: %v: the time of a token is no whole number of nanoseconds", l))
	}
	token := int64(num * 1000 / uint64(den))
	return &Ideal{token: token, capacity: token * int64(l.Burst())}
}

// Change changes the limit. What was spent stays spent, up to the burst.
func (i *Ideal) Change(l *store.Limit, now int64) {
	other := NewIdeal(l)
	debt := max(i.full-now, 0)
	other.Over = i.Over
	other.full = now + min(debt*other.token/i.token, other.capacity)
	*i = *other
}

// Left returns how many tokens are there.
func (i *Ideal) Left(now int64) int64 {
	now -= now % 1000
	return max(i.capacity-max(i.full-now, 0), 0) / i.token
}

// Spend spends n tokens, whether they are there or not.
func (i *Ideal) Spend(n int, now int64) {
	now -= now % 1000
	i.full = max(i.full, now) + int64(n)*i.token
	i.Over = max(i.Over, i.full-now-i.capacity)
}

// Reset fills the bucket.
func (i *Ideal) Reset() { i.full = 0 }

// Tokens returns how many tokens a time is, rounded up.
func (i *Ideal) Tokens(nanos int64) int64 { return (nanos + i.token - 1) / i.token }
