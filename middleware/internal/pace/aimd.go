package pace

import "time"

// An aimd is the fraction of a limit that this node uses while others use the same
// credential, however many they are. A denial is not this node's fault if it keeps to the
// limit, so each one decreases the fraction, and time increases it (additive increase,
// multiplicative decrease: Chiu and Jain, 1989).
type aimd struct {
	ceded float64   // 1 less the fraction, so that the zero value uses all of the limit
	cut   time.Time // when the fraction decreased last
	at    time.Time // when it was set last
}

const (
	aimdCut    = 0.7  // what a denial leaves of the fraction
	aimdGrowth = 0.01 // of the limit, in a second
	aimdLeast  = 0.05
)

func (a *aimd) fraction() float64 { return 1 - a.ceded }

// learn takes a response into account. A denial counts if the limit was known, and if its
// request was sent after the last denial that counted.
func (a *aimd) learn(o observation, known bool) {
	if o.denied {
		if known && o.sent.After(a.cut) {
			a.ceded = 1 - max(a.fraction()*aimdCut, aimdLeast)
			a.cut = o.now
		}
	} else if a.ceded > 0 {
		a.ceded = max(a.ceded-aimdGrowth*min(o.now.Sub(a.at).Seconds(), 60), 0)
	}
	a.at = o.now
}
