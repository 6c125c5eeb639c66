package middleware

import (
	"encoding/json"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
)

// An Event describes what happened to one request: see [Config.Observe]. It contains no
// key and no address.
type Event struct {
	// Outcome is what happened to the request. It can be a metric label.
	Outcome Outcome
	// Served reports whether the handler runs. In shadow mode it always does.
	Served bool
	// Pattern is the pattern that [Routes] found, even if none of its routes has it, or else
	// [http.Request.Pattern]. "" if there is none.
	Pattern string
	// Result is the decision; the zero Result if there was none.
	Result ratelimit.Result
	// Class is the class of the error if the limiter could not decide, as
	// [store.ErrorClass] returns it; else "".
	Class string
	// Took is the time from the arrival of the request here to the decision.
	Took time.Duration
}

// An Outcome is one of a fixed set of words. More may be added.
type Outcome string

// The outcomes. Each request has exactly one.
const (
	OutcomeAllowed      = Outcome(gate.Allowed)      // the handler was run
	OutcomeDenied       = Outcome(gate.Denied)       // 429, or what Config.Denied answered
	OutcomeShadow       = Outcome(gate.Shadow)       // decided, but not enforced: see Result.WouldDeny
	OutcomeExempt       = Outcome(gate.Exempt)       // the key is Unlimited
	OutcomeSkipped      = Outcome(gate.Skipped)      // by Config.Skip
	OutcomePreflight    = Outcome(gate.Preflight)    // of CORS, which is free
	OutcomeNoKey        = Outcome(gate.NoKey)        // 401, with Config.RequireKey
	OutcomeAmbiguous    = Outcome(gate.Ambiguous)    // 400: two keys, or two addresses
	OutcomeBlocked      = Outcome(gate.Blocked)      // 403 or 429, as Config.BlockedStatus says: the key is blocked
	OutcomeFailedOpen   = Outcome(gate.FailedOpen)   // the limiter could not decide; the handler was run
	OutcomeFailedClosed = Outcome(gate.FailedClosed) // the limiter could not decide; 503
)

// MarshalJSON encodes e for a log, with Took in microseconds. It omits the result if there
// was no decision.
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

// The classes of faults in this package. A failed decision has the class that
// [store.ErrorClass] returns for its error.
const (
	FaultKey             = gate.FaultKey             // "key": a KeyFunc returned an error; the request is treated as one without a key
	FaultKeyPanic        = gate.FaultKeyPanic        // "key-panic": a KeyFunc panicked; the address was used
	FaultCostPanic       = gate.FaultCostPanic       // "cost-panic": Config.Cost panicked; the request cost 1
	FaultNegativeCost    = gate.FaultNegativeCost    // "negative-cost": Config.Cost returned less than 0; the request cost 1
	FaultReservePanic    = gate.FaultReservePanic    // "reserve-panic": Config.Reserve panicked; the estimate was 1
	FaultNegativeReserve = gate.FaultNegativeReserve // "negative-reserve": Config.Reserve returned less than 0; the estimate was 1
	FaultSettleByPanic   = "settle-by-panic"         // Config.SettleBy panicked; the estimate was charged, unless the handler settled
	FaultNegativePrice   = gate.FaultNegativePrice   // "negative-price": Config.SettleBy returned, or Settle was given, less than 0; it was ignored
	FaultSkipPanic       = gate.FaultSkipPanic       // "skip-panic": Config.Skip panicked; the request was limited
	FaultObservePanic    = gate.FaultObservePanic    // "observe-panic": Config.Observe panicked; the outcome stands
	FaultDeniedPanic     = "denied-panic"            // Config.Denied panicked
	FaultDeniedSilent    = "denied-silent"           // Config.Denied wrote nothing; the problem was sent
	FaultChargedTwice    = "charged-twice"           // the same middleware is around a handler twice; reported once
)
