package storetest

import (
	"fmt"
	"math/big"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A Model is the contract as arithmetic on fractions of unbounded size. It shares no
// computation with package gcra but T in lowest terms, keeps every bucket and is slow.
//
// A bucket is the time at which it will be full again. Its debt is the time until then, or
// 0, and a token takes T = Period/Rate:
//
//   - a call of cost n is admitted if the debt plus n*T is at most Burst*T in every limit;
//     then each bucket owes n*T more
//   - a debt above Burst*T counts as Burst*T, and is stored so
//   - a debt that the caller knows, the smaller of Debt and TAT - now, counts if it is
//     larger than the bucket's own; if the call is charged, it is stored
//   - a limit whose T has another denominator rounds the debt up to a microsecond
//
// A Model is not safe for concurrent use.
type Model struct {
	// CoarseReset and BriefReset are as in [Harness].
	CoarseReset, BriefReset bool

	buckets map[bucketName]*modelBucket
	terms   map[gcra.Rate]*terms
	reset   int64 // the last one of any key
}

// bucketName identifies a bucket.
type bucketName struct{ key, limit string }

type modelBucket struct {
	full  *big.Rat // when it is full, in microseconds
	den   *big.Int // of the limit that wrote it
	reset int64    // the last one; 0: never
	until int64    // with BriefReset, when it is forgotten
}

// terms are the terms of a limit, in microseconds.
type terms struct {
	token    *big.Rat // T
	capacity *big.Rat // Burst*T
	burst    int
}

// NewModel returns a model in which all buckets are full.
func NewModel() *Model {
	return &Model{buckets: map[bucketName]*modelBucket{}, terms: map[gcra.Rate]*terms{}}
}

// Take returns the decision of a correct store at the time now, in microseconds.
func (m *Model) Take(now int64, r store.Request) store.Decision {
	return m.take(now, r, true)
}

// Peek is Take without the charge.
func (m *Model) Peek(now int64, r store.Request) store.Decision {
	return m.take(now, r, false)
}

func (m *Model) take(now int64, r store.Request, charge bool) store.Decision {
	d := store.Decision{Allowed: true, Now: now}
	var found, after [store.MaxLimits]*big.Rat
	for i := range r.Limits {
		limit := &r.Limits[i]
		t := m.termsOf(&limit.Rate)
		found[i] = m.debt(now, r.Key, limit.Name, t)
		if r.Known != nil && !m.outdated(now, r.Key, limit.Name, r.Known[i].Seen) {
			if known := knownDebt(now, r.Known[i], t); known.Cmp(found[i]) > 0 {
				found[i] = known
			}
		}
		if r.Cost < 0 || r.Cost > t.burst {
			d.Allowed = false
			continue
		}
		after[i] = new(big.Rat).SetInt64(int64(r.Cost))
		after[i].Mul(after[i], t.token).Add(after[i], found[i])
		d.Allowed = d.Allowed && after[i].Cmp(t.capacity) <= 0
	}
	for i := range r.Limits {
		limit := &r.Limits[i]
		t := m.termsOf(&limit.Rate)
		owed := found[i]
		if d.Allowed && r.Cost > 0 {
			owed = after[i]
			if charge {
				m.store(now, r.Key, limit.Name, owed, t)
			}
		}
		d.Debts[i] = parts(owed, t.token.Denom())
	}
	return d
}

// Reset fills the buckets of a key at the time now.
func (m *Model) Reset(now int64, key string, p []store.Limit) {
	m.reset = now
	for i := range p {
		limit := &p[i]
		t := m.termsOf(&limit.Rate)
		m.store(now, key, limit.Name, new(big.Rat), t)
		b := m.buckets[bucketName{key, limit.Name}]
		refill := new(big.Int).Add(t.capacity.Num(), t.capacity.Denom())
		refill.Sub(refill, big.NewInt(1)).Div(refill, t.capacity.Denom()) // rounds up
		b.reset, b.until = now, now+refill.Int64()
	}
}

// termsOf returns the terms of a rate.
func (m *Model) termsOf(r *gcra.Rate) *terms {
	t := m.terms[*r]
	if t == nil {
		num, den := r.Interval()
		t = &terms{token: big.NewRat(int64(num), int64(den)), burst: r.Burst()}
		t.capacity = new(big.Rat).Mul(t.token, new(big.Rat).SetInt64(int64(t.burst)))
		m.terms[*r] = t
	}
	return t
}

// debt returns the debt of a bucket at the time now. If it is above the capacity, debt
// returns and stores the capacity.
func (m *Model) debt(now int64, key, limit string, t *terms) *big.Rat {
	b := m.buckets[bucketName{key, limit}]
	if b == nil {
		return new(big.Rat)
	}
	d := until(b.full, b.den, now, t)
	if d.Cmp(t.capacity) > 0 {
		m.store(now, key, limit, t.capacity, t)
		return t.capacity
	}
	return d
}

// store makes a bucket owe d at the time now.
func (m *Model) store(now int64, key, limit string, d *big.Rat, t *terms) {
	b := m.buckets[bucketName{key, limit}]
	if b == nil {
		b = new(modelBucket)
		m.buckets[bucketName{key, limit}] = b
	}
	b.full = new(big.Rat).SetInt64(now)
	b.full.Add(b.full, d)
	b.den = t.token.Denom()
}

// outdated reports whether a bucket ignores an observation because of a reset. Seen 0, an
// observation without a date, always counts. An observation in the microsecond of the reset
// counts as older.
func (m *Model) outdated(now int64, key, limit string, seen int64) bool {
	reset := int64(0)
	if m.CoarseReset {
		reset = m.reset
	} else if b := m.buckets[bucketName{key, limit}]; b != nil && (!m.BriefReset || now < b.until) {
		reset = b.reset
	}
	return seen != 0 && seen <= reset
}

// knownDebt returns the known debt, at most the capacity.
func knownDebt(now int64, k store.Known, t *terms) *big.Rat {
	d := new(big.Rat).SetFrac(big.NewInt(int64(k.Debt.Frac)), t.token.Denom())
	d.Add(d, new(big.Rat).SetInt64(k.Debt.Micros))
	if k.TAT.Den != 0 {
		full := big.NewRat(int64(k.TAT.Frac), int64(k.TAT.Den))
		full.Add(full, new(big.Rat).SetInt64(k.TAT.Micros))
		if left := until(full, big.NewInt(int64(k.TAT.Den)), now, t); left.Cmp(d) < 0 {
			d = left
		}
	}
	if d.Cmp(t.capacity) > 0 {
		return t.capacity
	}
	return d
}

// until returns the time from now until full, or 0 if full has passed. If full was stored
// with another denominator than that of t, until rounds up to a microsecond.
func until(full *big.Rat, den *big.Int, now int64, t *terms) *big.Rat {
	d := new(big.Rat).SetInt64(now)
	d.Sub(full, d)
	if den.Cmp(t.token.Denom()) != 0 && !d.IsInt() {
		whole := new(big.Int).Div(d.Num(), d.Denom()) // rounds down, since the divisor is positive
		d.SetInt(whole.Add(whole, big.NewInt(1)))
	}
	if d.Sign() < 0 {
		return new(big.Rat)
	}
	return d
}

// parts returns d in whole microseconds and parts of 1/den microseconds.
func parts(d *big.Rat, den *big.Int) gcra.Debt {
	n := new(big.Int).Mul(d.Num(), den)
	n, rest := n.QuoRem(n, d.Denom(), new(big.Int))
	if rest.Sign() != 0 {
		panic(fmt.Sprintf("storetest: the model has a debt of %v, which is not a multiple of 1/%v", d, den))
	}
	whole, frac := n.QuoRem(n, den, rest)
	return gcra.Debt{Micros: whole.Int64(), Frac: uint32(frac.Uint64())}
}
