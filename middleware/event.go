package middleware

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// An Event is what became of one request: see [Config.Observe]. No key and no address is
// in it.
type Event struct {
	// Outcome is what became of the request. It is fit for a metric label.
	Outcome Outcome
	// Served reports whether the handler was run. In shadow mode it is, whatever the
	// outcome.
	Served bool
	// Pattern is that of the mux: the one that [Routes] found, also if it is none of its
	// routes, and else [http.Request.Pattern]. "" if there is none.
	Pattern string
	// Result is the decision; the zero Result if there was none.
	Result ratelimit.Result
	// Class is that of the error because of which nothing could be decided, as
	// [ratelimit.ErrorClass] returns it; else "".
	Class string
	// Took is the time from the arrival of the request here to the decision.
	Took time.Duration
}

// An Outcome is one of a fixed set of words. More may come.
type Outcome string

// The outcomes. Each request has exactly one.
const (
	OutcomeAllowed      Outcome = "allowed"       // the handler was run
	OutcomeDenied       Outcome = "denied"        // 429, or what Config.Denied answered
	OutcomeShadow       Outcome = "shadow"        // decided, but not enforced: see Result.WouldDeny
	OutcomeExempt       Outcome = "exempt"        // the key is Unlimited
	OutcomeSkipped      Outcome = "skipped"       // by Config.Skip
	OutcomePreflight    Outcome = "preflight"     // of CORS, which is free
	OutcomeNoKey        Outcome = "no-key"        // 401, with Config.RequireKey
	OutcomeAmbiguous    Outcome = "ambiguous"     // 400: two keys, or two addresses
	OutcomeFailedOpen   Outcome = "failed-open"   // nothing could be decided; the handler was run
	OutcomeFailedClosed Outcome = "failed-closed" // nothing could be decided; 503
)

// MarshalJSON writes e for a log, with the time taken in microseconds. A result is there
// only if there was a decision.
func (e Event) MarshalJSON() ([]byte, error) {
	out := struct {
		Outcome Outcome           `json:"outcome"`
		Served  bool              `json:"served"`
		Pattern string            `json:"pattern,omitempty"`
		Result  *ratelimit.Result `json:"result,omitempty"`
		Class   string            `json:"class,omitempty"`
		TookUS  int64             `json:"took_us"`
	}{e.Outcome, e.Served, e.Pattern, nil, e.Class, e.Took.Microseconds()}
	if e.Result.Policy() != nil {
		out.Result = &e.Result
	}
	return json.Marshal(out)
}

// An arrival is a request that is not decided yet.
type arrival struct {
	*http.Request
	pattern string
	at      time.Time // if Config.Observe is set
}

func (g *gate) arrive(r *http.Request, pattern string) arrival {
	a := arrival{Request: r, pattern: pattern}
	if g.config.Observe != nil {
		a.at = time.Now()
	}
	return a
}

// observe calls Config.Observe. result is nil where there was no decision.
func (g *gate) observe(a arrival, outcome Outcome, served bool, result *ratelimit.Result, class string) {
	if g.config.Observe == nil {
		return
	}
	e := Event{Outcome: outcome, Served: served, Pattern: a.pattern, Class: class, Took: time.Since(a.at)}
	if result != nil {
		e.Result = *result
	}
	defer func() {
		if recover() != nil {
			g.faults.report(a.Context(), FaultObservePanic, "the outcome stands")
		}
	}()
	g.config.Observe(a.Request, e)
}

// outcomeOf returns the outcome of a request that was decided.
func outcomeOf(r *ratelimit.Result) Outcome {
	switch {
	case r.Exempt():
		return OutcomeExempt
	case r.Shadow:
		return OutcomeShadow
	case r.Allowed:
		return OutcomeAllowed
	default:
		return OutcomeDenied
	}
}
