package transport

import "time"

// A gate keeps requests waiting after a denial, as that asks for. While the wait is
// longer than Config.MaxWait, one request in each MaxWait asks again. The zero gate is
// open.
type gate struct {
	until time.Time // nothing is sent before
	ask   time.Time // but for one request then
	asker uint64    // its number
}

func (g *gate) close(now time.Time, wait, maxWait time.Duration) {
	if until := now.Add(wait); until.After(g.until) {
		g.until, g.ask = until, now.Add(maxWait)
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
	if g.until.After(now) {
		g.asker, g.ask = number, now.Add(maxWait)
	}
}

// answered notes a response. That of the asker opens the gate: if it is a denial, the
// gate closes again.
func (g *gate) answered(number uint64) {
	if number == g.asker {
		g.until = time.Time{}
	}
}
