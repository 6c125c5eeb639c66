package mirror

import "github.com/keyrate/keyrate/ratelimit"

// A sight is what was seen of one bucket: it had this debt at an instant between sent
// and came on this node's clock, which was seen on the shared store's.
type sight struct {
	micros int64 // the debt
	frac   uint32
	den    uint32 // 0: nothing was seen
	sent   int64  // in nanoseconds, on this node's clock
	came   int64  // likewise
	seen   int64  // in microseconds, on the shared store's clock; 0: not known

	// Of the slot, and not of what was seen: here, it takes no more than 64 bytes.
	flying uint32 // tokens of the calls that are on their way to the shared store
	waited bool   // somebody waits for one of them to land

	alone bool // it includes calls that were admitted here: the shared store has not seen it
	told  bool // the answer charged nothing: the bucket may be of another denominator, and the debt rounded up
}

// sightOf is what an answer tells.
func sightOf(b *ratelimit.Bucket, d ratelimit.Debt, sent, came, seen int64) sight {
	return sight{micros: d.Micros, frac: d.Frac, den: b.Denominator(), sent: sent, came: came, seen: seen}
}

// debtAt returns what is left of the debt, as one of the bucket b: a limit that was
// changed rounds and clamps it as the shared store does. It is a lower bound, as if the
// debt had been seen when the question was sent, and exact if it is what the shared store
// would find, had nobody else called, and would not have to clamp.
func (s *sight) debtAt(b *ratelimit.Bucket, now int64) (d ratelimit.Debt, exact bool) {
	return s.aged(b, s.age(now))
}

// mostAt is debtAt as if the debt had been seen when the answer came. By that it is
// decided alone: the other would admit as much earlier as the question took.
func (s *sight) mostAt(b *ratelimit.Bucket, now int64) ratelimit.Debt {
	d, _ := s.aged(b, max(now-s.came, 0)/1000)
	return d
}

// age is how long ago the question was sent, in microseconds, rounded up. It is at
// least what has passed since the answer on a clock of whole microseconds, whenever
// that ticks: so a debt that is less by it is a lower bound.
func (s *sight) age(now int64) int64 { return max(now-s.sent+999, 0) / 1000 }

// aged returns what is left of the debt after so many microseconds.
func (s *sight) aged(b *ratelimit.Bucket, age int64) (d ratelimit.Debt, exact bool) {
	micros, frac, den, cut := s.cut(b)
	left := ratelimit.TAT{Micros: micros - age, Frac: frac, Den: den}
	rounded := s.told && s.frac == 0 && s.den != b.Denominator()
	if rounded {
		left.Micros--
	}
	d, clamped := b.DebtAt(left, 0)
	return d, !clamped && !rounded && !cut
}

// cut is the debt, clamped to what b can owe when it was seen: another node may have had
// the limit changed ever since. What was admitted here came later, and is not cut.
func (s *sight) cut(b *ratelimit.Bucket) (micros int64, frac, den uint32, cut bool) {
	if !s.alone {
		d, cut := b.DebtAt(ratelimit.TAT{Micros: s.micros, Frac: s.frac, Den: s.den}, 0)
		if cut {
			return d.Micros, d.Frac, b.Denominator(), true
		}
	}
	return s.micros, s.frac, s.den, false
}

// fullAt is when nothing is left of the debt, on this node's clock.
func (s *sight) fullAt() int64 {
	full := s.sent + s.micros*1000
	if s.frac > 0 {
		full += 1000
	}
	return full
}

// tell fills in what is sent along. The clock of the part tells the shared instant where
// the sight does not. Where both fail, which is so for calls admitted before the shared
// store was ever seen, the aged debt alone is sent: too large by one trip.
//
// The debt is aged since the answer came, and so may be too large by the trip as well,
// where the TAT means nothing: the store takes the smaller of the two.
func (s *sight) tell(b *ratelimit.Bucket, k *ratelimit.Known, now int64, c *clock) {
	if k.Debt = s.mostAt(b, now); k.Debt == (ratelimit.Debt{}) {
		return
	}
	seen, at := s.seen, s.seen
	if seen == 0 {
		seen, at = c.at(s.sent)
	}
	if seen > 0 {
		k.Seen = seen
		micros, frac, den, _ := s.cut(b)
		k.TAT.Micros, k.TAT.Frac, k.TAT.Den = at+micros, frac, den
	}
}

// outdates tells whether s takes the place of old.
//
// An answer whose question was sent after the old one had come is the later one,
// whatever the shared clock says, which may have been set back. It may be the smaller
// debt: then there was a reset. Answers that crossed each other are in the order of the
// shared clock, and those of one instant in the order of their debts: of calls that were
// decided together, the last owes most.
func (s *sight) outdates(old *sight) bool {
	switch {
	case s.sent >= old.came:
		return true
	case s.seen == old.seen:
		return !s.debt().Less(old.debt())
	default:
		return s.seen > old.seen
	}
}

func (s *sight) debt() ratelimit.Debt { return ratelimit.Debt{Micros: s.micros, Frac: s.frac} }
