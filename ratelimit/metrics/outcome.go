package metrics

// An Outcome is what became of a call: a label of [Checks].
type Outcome uint8

// The outcomes. Each call has exactly one.
const (
	Allowed          Outcome = iota
	Denied                   // by a limit that is enforced
	UndecidedAllowed         // the limiter could not decide; the call was served
	UndecidedDenied          // the limiter could not decide; the call was not served
	Exempt                   // its key has no limits
	Skipped                  // a middleware did not ask
	NoKey                    // a middleware found no key, and requires one
	AmbiguousKey             // a middleware found several keys
	Blocked                  // its key was stopped
	Outcomes         = iota  // how many there are
)

var outcomes = [Outcomes]string{"allowed", "denied", "undecided_allowed", "undecided_denied", "exempt", "skipped", "no_key", "ambiguous_key", "blocked"}

// String returns the label.
func (o Outcome) String() string { return outcomes[min(int(o), Outcomes-1)] }
