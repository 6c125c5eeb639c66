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

// describe returns the state of a result that is not exempt.
func (p *Reply) describe(r *ratelimit.Result) state {
	s := state{words: p.wordings.of(r), result: r}
	s.limits[0].remaining = r.Remaining()
	for i := 1; i < r.Len(); i++ {
		l := r.State(i)
		s.limits[i] = limitState{l.Remaining, l.Violated, l.RetryAfter}
	}
	return s
}
