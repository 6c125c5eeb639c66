package gate

import "github.com/keyrate/keyrate/ratelimit"

// An Outcome is one of a fixed set of words.
type Outcome string

// The outcomes. Each call has exactly one.
const (
	Allowed      Outcome = "allowed"
	Denied       Outcome = "denied"
	Shadow       Outcome = "shadow" // decided, but not enforced
	Exempt       Outcome = "exempt"
	Skipped      Outcome = "skipped"
	Preflight    Outcome = "preflight" // free by the protocol
	NoKey        Outcome = "no-key"
	Ambiguous    Outcome = "ambiguous"
	Blocked      Outcome = "blocked" // its key was stopped
	FailedOpen   Outcome = "failed-open"
	FailedClosed Outcome = "failed-closed"
)

// outcomeOf returns the outcome of a call that was decided.
func outcomeOf(r *ratelimit.Result) Outcome {
	switch {
	case r.Policy() == ratelimit.Unlimited:
		return Exempt
	case r.Blocked():
		return Blocked
	case r.Shadow():
		return Shadow
	case r.Allowed:
		return Allowed
	default:
		return Denied
	}
}
