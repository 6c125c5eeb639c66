package replay

import "math/bits"

// A window is a part of the requests of a key: from one at which its bucket was full to another
// before it was full again.
type window struct {
	cost uint64 // of all of them
	gap  uint64 // between the first and the last, in microseconds
}

// peak returns the window at whose end the debt, cost*period/rate - gap, is highest, if the bucket
// had no capacity. The sum of all costs times period/rate must be below 2^62.
//
// As in package gcra, a debt is whole microseconds and a fraction. Its denominator is rate, not in
// lowest terms. That package cannot be asked: it knows no debt above a capacity, and remembers each
// rate for as long as the program runs.
func peak(times []int64, costs []uint32, rate, period uint64) (highest window) {
	one, oneFrac := period/rate, period%rate
	var debt, frac, most, mostFrac uint64
	var w window
	var began, last int64
	for i, at := range times {
		cost, more, moreFrac := uint64(1), one, oneFrac
		if costs != nil {
			cost = uint64(costs[i])
			hi, lo := bits.Mul64(cost, period)
			more, moreFrac = bits.Div64(hi, lo, rate)
		}
		if gap := uint64(at - last); debt < gap || debt == gap && frac == 0 {
			debt, frac, began, w.cost = 0, 0, at, 0
		} else {
			debt -= gap
		}
		last = at
		debt += more
		if frac += moreFrac; frac >= rate {
			frac -= rate
			debt++
		}
		w.cost += cost
		if debt > most || debt == most && frac > mostFrac {
			w.gap = uint64(at - began)
			highest, most, mostFrac = w, debt, frac
		}
	}
	return highest
}

// rateNeeded returns the smallest rate at which no request of a key is denied, with the burst equal
// to the rate. If it is above most, it returns a rate above most.
//
// A bucket that is full at the first of some requests admits all of them if
//
//	cost*period/rate - gap <= burst*period/rate, or, as burst = rate, cost*period <= rate*(period+gap)
//
// for each window, so a larger rate admits them, too. The window that is worst at a rate is not
// admitted by any rate below its own bound, and one step from bound to bound follows the other until
// the worst window is admitted (Dinkelbach: On Nonlinear Fractional Programming, Management Science
// 13, 1967).
func rateNeeded(times []int64, costs []uint32, period, most uint64) uint64 {
	// The bound of the window of all requests. With that rate, no debt exceeds span + period.
	span := uint64(times[len(times)-1] - times[0])
	rate := max(1, dividedUp(total(times, costs), period, period+span))
	for rate <= most {
		w := peak(times, costs, rate, period)
		needed := dividedUp(w.cost, period, period+w.gap)
		if needed <= rate {
			break
		}
		rate = needed
	}
	return rate
}

// burstNeeded returns the smallest burst at which no request of a key is denied, or a burst above
// most, which fills up in a few years.
func burstNeeded(times []int64, costs []uint32, rate, period, most uint64) uint64 {
	if hi, lo := bits.Mul64(total(times, costs), period); hi >= rate || quotient(hi, lo, rate) >= 1<<62 {
		return most + 1 // more than all the years that a log can last
	}
	w := peak(times, costs, rate, period)
	hi, lo := bits.Mul64(w.gap, rate)
	back := quotient(hi, lo, period) // tokens, below those that were taken
	return max(1, w.cost-back)
}

// total returns the cost of all requests.
func total(times []int64, costs []uint32) uint64 {
	if costs == nil {
		return uint64(len(times))
	}
	sum := uint64(0)
	for _, c := range costs {
		sum += uint64(c)
	}
	return sum
}

// dividedUp returns a*b/c, rounded up, which must fit.
func dividedUp(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	q, rest := bits.Div64(hi, lo, c)
	if rest > 0 {
		q++
	}
	return q
}

func quotient(hi, lo, by uint64) uint64 {
	q, _ := bits.Div64(hi, lo, by)
	return q
}
