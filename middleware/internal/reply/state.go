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
}
