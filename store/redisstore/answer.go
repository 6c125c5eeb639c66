package redisstore

import "github.com/keyrate/keyrate/ratelimit/gcra"

// An answer is the part of the script's answer that is still to be read.
type answer []int64

// next returns the next number, or 0 and false.
func (a *answer) next() (n int64, ok bool) {
	if len(*a) == 0 {
		return 0, false
	}
	n, *a = (*a)[0], (*a)[1:]
	return n, true
}

// outcomes gives the calls their outcomes in an answer, and returns the number of foreign
// values that they found in Redis. It takes nothing on trust: the limiter computes with these
// debts.
func (b *batch) outcomes(a answer) (foreign int64, err error) {
	now, _ := a.next()
	foreign, ok := a.next()
	if !ok || now <= 0 || foreign < 0 {
		return 0, errAnswer
	}
	for _, c := range b.parts {
		if !a.read(c) {
			return 0, errAnswer
		}
		c.decision.Now = now
	}
	if len(a) > 0 {
		return 0, errAnswer
	}
	return foreign, nil
}

// whole is the first number of the answer to a request with a bucket that is more than a TAT,
// or one less if the request is admitted.
const whole = -1 << 53

// read reads the outcome of one call. It returns false for one that cannot be.
func (a *answer) read(c *call) bool {
	if len(*a) > 0 && (*a)[0] <= whole+1 {
		return a.readWhole(c)
	}
	d := &c.decision
	if c.mode >= modeHold || c.request.Least != 0 {
		return false
	}
	for i := range c.request.Limits {
		limit := &c.request.Limits[i]
		micros, ok := a.next()
		if i == 0 {
			if d.Allowed = micros >= 0; !d.Allowed {
				micros = -1 - micros
			}
		}
		var frac int64
		if limit.Denominator() > 1 && ok {
			frac, ok = a.next()
		}
		debt := gcra.Debt{Micros: micros, Frac: uint32(frac)}
		if !ok || micros < 0 || frac < 0 || frac >= int64(limit.Denominator()) || !limit.Fits(debt) {
			return false
		}
		d.Debts[i] = debt
	}
	return true
}

// readWhole reads the longer form of an answer.
func (a *answer) readWhole(c *call) bool {
	d := &c.decision
	first, _ := a.next()
	d.Allowed = first > whole
	n, ok := a.next()
	switch {
	case !ok || n < 0 && d.Allowed:
		return false
	case c.mode >= modeSettle:
		c.lost = int(n)
	case c.request.Least > 0 && d.Allowed:
		if d.Granted = int(n); n == mostTokens {
			d.Granted = c.request.Cost // of a loan, which grants whatever is asked for
		}
		if d.Granted < c.request.Least || d.Granted > max(c.request.Cost, c.request.Least) {
			return false
		}
	}
	if c.mode == modeLease {
		n, _ := a.next()
		if n < 0 || n > number(c.lease) || n > 0 && !d.Allowed {
			return false
		}
		c.leased = int(n)
	}
	for i := range c.request.Limits {
		limit := &c.request.Limits[i]
		micros, _ := a.next()
		frac, _ := a.next()
		held, _ := a.next()
		name, ok := a.next()
		debt := gcra.Debt{Micros: micros, Frac: uint32(frac)}
		if !ok || micros < 0 || frac < 0 || frac >= int64(limit.Denominator()) || limit.Add(limit.Capacity(), limit.Capacity()).Less(debt) || held < 0 || name < 0 {
			return false
		}
		d.Debts[i], d.Held[i], c.names[i] = debt, int(held), name
	}
	return true
}
