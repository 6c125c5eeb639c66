package reply

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A state is what a response reports of a result, computed once.
type state struct {
	words  *wording
	result *ratelimit.Result
	limits [store.MaxLimits]limitState // the deciding one first, as in words
	shown  int                         // the one in X-Rate-Limit-*
}

type limitState struct {
	remaining int
	violated  bool
	retry     time.Duration // if violated and not the deciding one
}

// describe sets the other fields of s to the state of its result, which is not exempt.
func (p *Reply) describe(s *state) {
	r := s.result
	texts := p.wordings.of(r.Policy())
	s.words = &texts[0]
	if len(texts) == 1 {
		s.limits[0].remaining = r.Remaining() // saves what State computes as well
		return
	}
	for i := range texts {
		l := r.State(i)
		s.limits[i] = limitState{l.Remaining, l.Violated, l.RetryAfter}
		for j := 0; i == 0 && j < len(texts); j++ {
			if texts[j].limits[0].Name == l.Limit.Name {
				s.words = &texts[j]
			}
		}
	}
	if s.words.rates[0].Loan() {
		s.shown = s.tightestRate()
	}
}

// tightestRate returns which limit describes a result that a limit on concurrent calls decides
// to a client that knows of rates only: the violated one with the longest wait, or else the
// one with the least remaining. If there is no rate, it is the deciding limit.
func (s *state) tightestRate() (at int) {
	for i := range s.words.rates {
		l, best := &s.limits[i], &s.limits[at]
		switch {
		case s.words.rates[i].Loan():
		case at == 0, l.retry > best.retry, l.retry == best.retry && l.remaining < best.remaining:
			at = i
		}
	}
	return at
}

// resetAfter returns the time until the bucket of X-Rate-Limit-* is full.
func (s *state) resetAfter() time.Duration {
	if s.shown == 0 {
		return s.result.ResetAfter() // saves what State computes as well
	}
	return s.result.State(s.shown).ResetAfter
}
