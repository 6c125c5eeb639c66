package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// keyState is the state of a key.
type keyState struct {
	Key          string       `json:"key"`
	Exempt       bool         `json:"exempt"`
	Plan         *string      `json:"plan,omitempty"`
	Organisation *string      `json:"organisation,omitempty"`
	Block        *blockState  `json:"block,omitempty"`
	Allowed      bool         `json:"allowed"`
	WouldDeny    bool         `json:"would_deny"`
	RetryAfterMS int64        `json:"retry_after_ms"`
	Source       string       `json:"source"`
	Limits       []limitState `json:"limits"`
	Parts        []limitState `json:"parts,omitempty"`
}

// limitState is the state of one limit of a key. bucketState is nil if it is unknown: of a shadow
// limit, or of a part from which a lock-out keeps the key, which is Block.
type limitState struct {
	Name   string      `json:"name"`
	Limit  string      `json:"limit"`
	Shadow bool        `json:"shadow"`
	Block  *blockState `json:"block,omitempty"`
	*bucketState
}

type bucketState struct {
	Remaining    int   `json:"remaining"`
	Burst        int   `json:"burst"`
	Held         int   `json:"held"`
	Violated     bool  `json:"violated"`
	RetryAfterMS int64 `json:"retry_after_ms"`
	ResetAfterMS int64 `json:"reset_after_ms"`
}

// state responds with the decision that a call with the key would get now, and with the
// state of the limits of parts, such as routes. It charges nothing.
func (c *call) state() {
	key, _, ok := c.subject()
	if !ok {
		return
	}
	var r ratelimit.Result
	var parts []ratelimit.Result
	err := guarded(func() (err error) {
		if r, err = c.limiter.Peek(c.r.Context(), key); err != nil {
			return err
		}
		parts, err = c.limiter.PeekParts(c.r.Context(), key)
		return err
	})
	if err != nil {
		c.unavailable(err)
		return
	}
	state := keyState{
		Key: c.event.Key, Exempt: r.Policy() == ratelimit.Unlimited, Allowed: r.Allowed, WouldDeny: r.WouldDeny(),
		Block: c.blockOf(key, &r), RetryAfterMS: ceilMS(r.RetryAfter()), Source: r.Source().String(), Limits: []limitState{},
	}
	if state.Block != nil && state.Block.Until == nil {
		state.RetryAfterMS = 0 // no wait helps
	}
	if t := c.config.Table; t != nil {
		if plan, ok := t.PlanOf(key); ok {
			state.Plan = &plan
		}
		if name, ok := t.OrganisationOf(key); ok {
			state.Organisation = &name
		}
	}
	state.Limits = append(state.Limits, statesOf(&r)...)
	for i := range parts {
		for _, limit := range statesOf(&parts[i]) {
			same := func(other limitState) bool { return other.Limit == limit.Limit }
			if !slices.ContainsFunc(state.Parts, same) { // two parts may have one limit
				state.Parts = append(state.Parts, limit)
			}
		}
	}
	c.answer(http.StatusOK, "application/json", state)
}

// statesOf returns the state of each limit of a result.
func statesOf(r *ratelimit.Result) (states []limitState) {
	if b, ok := r.Policy().Block(); ok {
		for _, l := range r.Policy().Limits() { // none, but of a part
			states = append(states, limitState{Name: l.Name, Limit: l.String(), Block: stateOfBlock(b)})
		}
	}
	for i := range r.Len() {
		states = append(states, stateOf(r.State(i), r.Shadow()))
	}
	for i := 0; ; i++ {
		s, ok := r.ShadowState(i)
		if !ok {
			return states
		}
		states = append(states, stateOf(s, true))
	}
}

func stateOf(s ratelimit.LimitState, shadow bool) limitState {
	state := limitState{Name: s.Limit.Name, Limit: s.Limit.String(), Shadow: shadow}
	if !s.Undecided {
		state.bucketState = &bucketState{s.Remaining, cmp.Or(s.Limit.Burst, s.Limit.Rate), s.Held, s.Violated, ceilMS(s.RetryAfter), ceilMS(s.ResetAfter)}
	}
	return state
}

// ceilMS rounds up, so that a client that waits for so long waits long enough.
func ceilMS(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// reset fills a key's own buckets, those of parts included, or the bucket of one limit.
func (c *call) reset() {
	key, given, ok := c.subject("limit")
	if !ok {
		return
	}
	limit := given["limit"]
	found := true
	err := guarded(func() (err error) {
		if limit != "" {
			found, err = c.limiter.ResetLimit(c.r.Context(), key, limit)
			return err
		}
		return c.limiter.Reset(c.r.Context(), key)
	})
	switch {
	case err != nil:
		c.unavailable(err)
	case !found:
		c.problem(http.StatusNotFound, "The key has no limit of that name; /key/state lists those that it has.")
	default:
		c.event.Limit = limit
		c.begin(http.StatusNoContent, "")
	}
}

// resetShared fills the buckets that the key shares with its organisation, those of parts
// included.
func (c *call) resetShared() {
	key, _, ok := c.subject()
	if !ok {
		return
	}
	if err := guarded(func() error { return c.limiter.ResetShared(c.r.Context(), key) }); err != nil {
		c.unavailable(err)
		return
	}
	c.begin(http.StatusNoContent, "")
}

// guarded makes a panic of the program's store into an error.
func guarded(f func() error) (err error) {
	if store.Try(func() { err = f() }) != nil {
		return &store.Error{Class: store.ClassPanic}
	}
	return err
}

// unavailable responds with 503. The text of err may contain a key and is not shown.
func (c *call) unavailable(err error) {
	c.w.Header().Set(middleware.HeaderRetryAfter, "1")
	c.answerProblem(problem{
		Status: http.StatusServiceUnavailable, Class: store.ErrorClass(err),
		Detail: "The limits of the key, or its buckets, cannot be reached; retry later.",
	})
}
