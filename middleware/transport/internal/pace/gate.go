package pace

import "time"

// A gate keeps requests waiting after a denial, as that asks for. While the wait is
// longer than Config.MaxWait, one request in each MaxWait asks again. After the wait the
// first request goes alone, so that its response sets the pace of the others: another
// process may use what has come back. The zero gate is open.
type gate struct {
	until time.Time // nothing is sent before
	ask   time.Time // but for one request then
	first time.Time // when the first one after until was sent, zero before
	asker uint64    // the number of either
}

func (g *gate) close(now time.Time, wait, maxWait time.Duration) {
	if until := now.Add(wait); until.After(g.until) {
		g.until, g.ask, g.first = until, now.Add(maxWait), time.Time{}
	}
}

// delay returns how long the next request must wait.
func (g *gate) delay(now time.Time) time.Duration {
	if now.Before(g.ask) {
		return g.until.Sub(now)
	}
	return 0
}

// pass notes that a request goes.
func (g *gate) pass(now time.Time, number uint64, maxWait time.Duration) {
	switch {
	case g.until.After(now):
		g.asker, g.ask = number, now.Add(maxWait)
	case !g.until.IsZero() && g.first.IsZero():
		g.asker, g.first = number, now
	default:
		g.until, g.first = time.Time{}, time.Time{}
	}
}

// alone returns how much longer the next request must wait for the response to the
// first one.
func (g *gate) alone(now time.Time) time.Duration {
	if g.first.IsZero() {
		return 0
	}
	return g.first.Add(alone).Sub(now)
}

// answered notes a response. That of the asker opens the gate: if it is a denial, the
// gate closes again.
func (g *gate) answered(number uint64) {
	if number == g.asker {
		g.until, g.first = time.Time{}, time.Time{}
	}
}
