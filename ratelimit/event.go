package ratelimit

import (
	"encoding/json"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// resultJSON is what MarshalJSON of a [Result] writes.
type resultJSON struct {
	Allowed   bool        `json:"allowed"`
	Shadow    bool        `json:"shadow,omitempty"`
	WouldDeny bool        `json:"would_deny,omitempty"`
	Exempt    bool        `json:"exempt,omitempty"`
	Blocked   bool        `json:"blocked,omitempty"`
	Source    string      `json:"source"`
	Cost      int         `json:"cost"`
	Limits    []stateJSON `json:"limits"`
}

// stateJSON is one limit of it.
type stateJSON struct {
	Name         string `json:"name"`
	Limit        string `json:"limit"`
	Shadow       bool   `json:"shadow,omitempty"`
	Unknown      bool   `json:"unknown,omitempty"`
	Remaining    int    `json:"remaining"`
	Violated     bool   `json:"violated"`
	RetryAfterMS *int64 `json:"retry_after_ms,omitempty"`
	ResetAfterMS int64  `json:"reset_after_ms"`
}

// MarshalJSON writes r for a log: what was decided and, of each limit in the order of
// [Result.State], what is known. Times are in milliseconds, rounded up. retry_after_ms is
// there for a violated limit only, and not if no wait helps.
//
//	{"allowed":false,"source":"store","cost":1,"limits":[
//	 {"name":"default","limit":"5/s","remaining":0,"violated":true,"retry_after_ms":200,"reset_after_ms":1000}]}
func (r Result) MarshalJSON() ([]byte, error) {
	out := resultJSON{
		Allowed: r.Allowed, Shadow: r.shadow, WouldDeny: r.WouldDeny(), Exempt: r.policy == Unlimited, Blocked: r.Blocked(),
		Source: r.source.String(), Cost: r.cost, Limits: []stateJSON{},
	}
	for i := range r.Len() {
		out.Limits = append(out.Limits, newStateJSON(r.State(i), r.shadow))
	}
	for i := 0; ; i++ {
		s, ok := r.ShadowState(i)
		if !ok {
			break
		}
		out.Limits = append(out.Limits, newStateJSON(s, true))
	}
	return json.Marshal(out)
}

func newStateJSON(s LimitState, shadow bool) stateJSON {
	out := stateJSON{
		Name: s.Limit.Name, Limit: s.Limit.String(), Shadow: shadow, Unknown: s.Undecided,
		Remaining: s.Remaining, Violated: s.Violated, ResetAfterMS: ceilMS(s.ResetAfter),
	}
	if s.Violated && s.RetryAfter != gcra.Never {
		wait := ceilMS(s.RetryAfter)
		out.RetryAfterMS = &wait
	}
	return out
}

// An Event reports one decision of a call that takes or holds tokens to Config.Observe. It does not hold
// the key, which may be a secret and must never be a metric label. A program that needs
// to know the caller puts that into the context.
type Event struct {
	// Result is what was answered.
	Result Result
	// Err is the [store.Error] or [LimitError] that says why nothing could be
	// decided, else nil. [store.ErrorClass] gives the one class that it counts in.
	Err error
	// Took is how long the decision took.
	Took time.Duration
}

// MarshalJSON writes e for a log: the result as [Result.MarshalJSON] does, the text and
// the class of the error if there is one, and the time taken in microseconds.
func (e Event) MarshalJSON() ([]byte, error) {
	out := struct {
		Result Result `json:"result"`
		Error  string `json:"error,omitempty"`
		Class  string `json:"class,omitempty"`
		TookUS int64  `json:"took_us"`
	}{Result: e.Result, Class: store.ErrorClass(e.Err), TookUS: e.Took.Microseconds()}
	if e.Err != nil {
		out.Error = e.Err.Error()
	}
	return json.Marshal(out)
}

// ceilMS rounds up, so that a caller who waits so long has waited long enough.
func ceilMS(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}
