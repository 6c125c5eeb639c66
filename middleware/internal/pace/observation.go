package pace

import "time"

// An observation is a response as one limiter sees it, beside the limit in it.
type observation struct {
	number  uint64 // counts the attempts against the limit
	sent    time.Time
	now     time.Time
	after   int           // attempts that were sent later
	beside  int           // those of them that may have been served before it
	unseen  int           // attempts that were sent before, and may have been served after it
	gap     time.Duration // since the attempt before, 0 if unknown
	denied  bool
	wait    time.Duration // that a denial asks for, 0 if it does not say
	maxWait time.Duration
	quick   time.Duration // a lower bound of the round-trip time
}

// observe returns how an attempt stands among those that count against a limit: how many
// were sent later, and which of those before and after may have been served in another
// order because they were sent at nearly the same time.
func (p *Pace) observe(a Attempt, l *limiter) observation {
	o := observation{sent: a.sent}
	counts := func(number uint64) bool {
		s := &p.recent[number%maxRecent]
		return s.set == nil || s.set.has(l)
	}
	oldest := p.sent - min(p.sent, maxRecent) + 1 // of those that are remembered
	if a.number < oldest {
		o.after = int(oldest - a.number) //nolint:gosec // of requests that are under way
	} else if !counts(a.number) {
		p.recent[a.number%maxRecent].set = nil // it counted against this limit, which was not known
		l.sent++
	}
	for n := max(a.number+1, oldest); n <= p.sent; n++ {
		if counts(n) {
			if o.after++; p.recent[n%maxRecent].at.Sub(a.sent) <= p.rtt.longest {
				o.beside++
			}
		}
	}
	for n := a.number - 1; n >= oldest && n > 0; n-- {
		if !counts(n) {
			continue
		}
		before := a.sent.Sub(p.recent[n%maxRecent].at)
		if o.gap == 0 {
			o.gap = before
		}
		if before > p.rtt.longest {
			break
		}
		o.unseen++
	}
	o.number = l.sent - min(uint64(o.after), l.sent) //nolint:gosec // not negative
	return o
}
