package memstore

import (
	"fmt"
	"math/big"

	"github.com/keyrate/keyrate/store"
)

// An ideal is the bucket that a store must not let down: it is charged with what callers
// really spend, when they spend it, and refills at the rate up to the burst. Beside its level
// it counts what explains a level below 0. All are tokens, in rational numbers.
type ideal struct {
	now   int64 // true time, in microseconds
	token *big.Rat
	burst *big.Rat
	level *big.Rat

	// unknown was spent beyond a hold, or after its end, and the store has not heard of it.
	unknown *big.Rat
	// known is such spends that the store has heard of; they drain at the rate.
	known *big.Rat
	// pardoned is for good, until the bucket is full: what the store cannot know or owe.
	// That are steps of its clock, what was held at a Reset or when a limit was lowered, and
	// what was lost beyond two bursts, also by the end of a slot.
	pardoned *big.Rat
}

func tokens(n int) *big.Rat { return new(big.Rat).SetInt64(int64(n)) }

func newIdeal(l *store.Limit, now int64) *ideal {
	i := &ideal{now: now, unknown: tokens(0), known: tokens(0), pardoned: tokens(0)}
	i.setLimit(l)
	i.level = new(big.Rat).Set(i.burst)
	return i
}

func (i *ideal) setLimit(l *store.Limit) {
	num, den := l.Interval()
	i.token, i.burst = big.NewRat(int64(num), int64(den)), tokens(l.Burst())
}

// in returns how many tokens come back in a time.
func (i *ideal) in(micros int64) *big.Rat {
	n := new(big.Rat).SetInt64(micros)
	return n.Quo(n, i.token)
}

// advance moves the true time. lent is whether a caller may still spend what it holds.
func (i *ideal) advance(micros int64, lent bool) {
	i.now += micros
	n := i.in(micros)
	i.level = new(big.Rat).Add(i.level, n)
	if i.level.Cmp(i.burst) >= 0 {
		i.level = new(big.Rat).Set(i.burst)
		if !lent {
			i.pardoned = tokens(0)
		}
	}
	if i.known = new(big.Rat).Sub(i.known, n); i.known.Sign() < 0 {
		i.known = tokens(0)
	}
}

func (i *ideal) spend(n int) { i.level = new(big.Rat).Sub(i.level, tokens(n)) }

// report moves n tokens from unknown to known; some of them were lost.
func (i *ideal) report(n, lost int) {
	i.unknown = new(big.Rat).Sub(i.unknown, tokens(n))
	i.known = new(big.Rat).Add(i.known, tokens(n))
	i.pardon(tokens(lost))
}

func (i *ideal) pardon(n *big.Rat) { i.pardoned = new(big.Rat).Add(i.pardoned, n) }

// stepped pardons a step of the store's clock, forward: what the store's bucket can have owed
// and what has drained of that too early.
func (i *ideal) stepped(micros int64) {
	n := i.in(micros)
	if most := new(big.Rat).Add(i.burst, i.known); n.Cmp(most) > 0 {
		n = most
	}
	i.pardon(n)
}

// change changes the limit: what was used stays used, up to a burst. It reports whether there
// is room for what is held and not spent.
func (i *ideal) change(l *store.Limit, held int) (fits bool) {
	used := new(big.Rat).Sub(i.burst, i.level)
	i.setLimit(l)
	i.level = new(big.Rat).Sub(i.burst, used)
	fits = i.level.Cmp(tokens(held)) >= 0
	if least := new(big.Rat).Neg(i.unknown); i.level.Cmp(least) < 0 {
		i.level = least
	}
	return fits
}

// reset fills the bucket.
func (i *ideal) reset() {
	i.level = new(big.Rat).Set(i.burst)
	i.unknown, i.known, i.pardoned = tokens(0), tokens(0), tokens(0)
}

// check returns an error if the level is lower than anything explains.
func (i *ideal) check() error {
	least := new(big.Rat).Add(i.unknown, i.known)
	least.Neg(least.Add(least, i.pardoned))
	if i.level.Cmp(least) >= 0 {
		return nil
	}
	return fmt.Errorf("the level is %s; want %s at least, by %s unknown, %s known and %s pardoned",
		i.level.FloatString(3), least.FloatString(3), i.unknown.FloatString(3), i.known.FloatString(3), i.pardoned.FloatString(3))
}
