package memory

import (
	"math"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// An observation is the debt of one bucket at an instant that is not known exactly: on this
// node's clock it lies between the question (asked) and the answer (answered). So the debt
// at a later instant has two bounds:
//
//   - atLeast ages the debt since asked. The shared store finds no less, so it may deny.
//   - atMost ages the debt since answered. The node decides alone by it, and hands it to the
//     shared store.
//
// An observation is unreported if its debt includes requests that this node admitted alone:
// the shared store has not charged them yet.
//
// It names the interval T under which the debt was made. It denies requests of that interval
// only, and is handed over with those only: another node may have used a bucket whose limit
// has changed, and then less may be owed than is known. Alone the node rescales it.
type observation struct {
	micros   int64  // the debt
	frac     uint32 // of a microsecond, in the denominator of the interval
	interval uint32 // observedBit and the Index of T; 0: nothing was observed
	asked    int64  // in nanoseconds, on this node's clock
	answered int64  // in nanoseconds, on this node's clock
	at       int64  // in microseconds, on the shared store's clock; 0: not known

	// These two belong to the slot. Here they fit into its 64 bytes.
	inFlight uint32 // tokens of the attempts in flight
	awaited  bool   // a request waits until one of them ends

	unreported bool
	echoed     bool // the answer may repeat what was unreported, and the shared store did not store it
	shown      bool // an answer has shown that the shared store has the bucket under this interval
}

const observedBit = 1 << 31

func observe(b *store.Limit, d gcra.Debt, asked, answered, at int64) observation {
	return observation{micros: d.Micros, frac: d.Frac, interval: observedBit | b.Index(), asked: asked, answered: answered, at: at}
}

func (o *observation) debt() gcra.Debt { return gcra.Debt{Micros: o.micros, Frac: o.frac} }

// empty reports whether nothing was observed.
func (o *observation) empty() bool { return o.interval == 0 }

// of reports whether the debt was made under the interval of b. An interval without an index
// is not known: it is no other's.
func (o *observation) of(b *store.Limit) bool {
	return o.interval == observedBit|b.Index() && b.Index() != 0
}

// atLeast returns the least debt at now, as one of limit b: a limit that was changed rescales
// and clamps it as the shared store does. exact reports whether the shared store would find
// just this debt if no other node had asked, and would have nothing to store.
func (o *observation) atLeast(b *store.Limit, now int64) (d gcra.Debt, exact bool) {
	return o.aged(b, o.age(now))
}

// atMost returns the largest debt at now that this observation can mean.
func (o *observation) atMost(b *store.Limit, now int64) gcra.Debt {
	d, _ := o.aged(b, max(now-o.answered, 0)/1000)
	return d
}

// exceeds reports whether b has no room for the debt at now: the shared store clamps it.
func (o *observation) exceeds(b *store.Limit, now int64) bool {
	return !b.Fits(gcra.Debt{Micros: o.micros - max(now-o.answered, 0)/1000, Frac: o.frac})
}

// age returns the time since the question in microseconds, rounded up. No clock of whole
// microseconds shows more, whenever it ticks: so a debt aged by it is a lower bound.
func (o *observation) age(now int64) int64 { return max(now-o.asked+999, 0) / 1000 }

// aged returns the debt after age microseconds.
func (o *observation) aged(b *store.Limit, age int64) (d gcra.Debt, exact bool) {
	if !o.of(b) {
		d, _ = b.DebtAt(gcra.TATOf(o.micros-age, o.frac, o.interval&^observedBit), 0)
		return d, false
	}
	then, clampedThen := o.clamped(b)
	d, clamped := b.DebtIn(then.Micros-age, then.Frac)
	return d, !clamped && !clampedThen
}

// clamped returns the debt, clamped to what b could owe when it was observed: another node
// may have used the changed limit since then. An unreported debt is later than that.
func (o *observation) clamped(b *store.Limit) (d gcra.Debt, clamped bool) {
	if !o.unreported {
		return b.DebtIn(o.micros, o.frac)
	}
	return o.debt(), false
}

// convert makes the debt at now one of another interval, as many tokens. The observation keeps
// its date: its debt is such that it would have drained to this at the new rate.
func (o *observation) convert(b *store.Limit, now int64) {
	d := o.atMost(b, now)
	o.micros, o.frac = d.Micros+max(now-o.answered, 0)/1000, d.Frac
	o.interval, o.shown = observedBit|b.Index(), false
}

// known fills in what the shared store is handed, and reports whether that is anything. The
// clock of the part dates an observation that has no date of its own. Without either (the node
// admitted requests before its first answer) the aged debt alone is handed over, too large by
// one round trip.
//
// The debt is aged since the answer and may be too large by the round trip. The store takes
// the smaller of debt and TAT, so that counts only where the TAT means nothing.
func (o *observation) known(b *store.Limit, k *store.Known, now int64, c *clock.Shared) bool {
	*k = store.Known{}
	if !o.of(b) {
		return false
	}
	if k.Debt = o.atMost(b, now); k.Debt == (gcra.Debt{}) {
		return false
	}
	seen, at := o.at, o.at
	if seen == 0 {
		seen, at = c.At(o.asked)
	}
	if seen > 0 {
		k.Seen = seen
		then, _ := o.clamped(b)
		k.TAT = b.TATAt(then, at)
	}
	return true
}

// fullAt returns when nothing is left of the debt, aged since asked, on this node's clock.
func (o *observation) fullAt() int64 {
	return o.asked + 1000*(o.micros+int64(min(o.frac, 1)))
}

// repaidAt returns when nothing is left of the debt, on the clock c of the part, in
// microseconds; math.MaxInt64 if that is not known.
func (o *observation) repaidAt(c *clock.Shared) int64 {
	at := o.at
	if at == 0 {
		if _, at = c.At(o.asked); at == 0 {
			return math.MaxInt64
		}
	}
	return at + o.micros + int64(min(o.frac, 1))
}

// replaces reports whether o is the later observation of two. One of another interval always
// is: the other one counts for no request of this interval.
//
// An answer to a question that was sent after old was answered is the later one, whatever
// the shared clock shows: it may have been set back. If its debt is the smaller one, there
// was a reset. Answers that crossed are in the order of the shared clock. Answers of one
// instant are in the order of their debts: of requests decided together, the last owes most.
func (o *observation) replaces(old *observation) bool {
	switch {
	case o.asked >= old.answered, o.interval != old.interval:
		return true
	case o.at == old.at:
		return !o.debt().Less(old.debt())
	default:
		return o.at > old.at
	}
}
