package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// An opening finds out when a window ends whose length is reported, but not its end:
// that is one length after it began, and it began when more remained than before. HubSpot
// and Riot Games report their windows so.
type opening struct {
	at     time.Time // when the window began, at the latest; zero if it is not known
	last   reading
	left   int
	bucket bool // more remains before the end, too
}

// reset returns the time until the window ends, 0 if that is reported, or not known. It
// matters only when nothing remains.
func (o *opening) reset(t signals.Limit, r reading) time.Duration {
	if t.Reset > 0 || t.Refills || t.Window == 0 || t.Remaining == signals.Unknown {
		return t.Reset
	}
	rose := o.last.number > 0 && t.Remaining-o.left-r.unseen-o.last.after > 0
	switch {
	case rose && !o.at.IsZero() && r.now.Before(o.at.Add(t.Window-t.Window/8)):
		o.bucket = true
	case rose, o.last.number == 0 && t.Remaining == t.Quota-1:
		o.at = r.now
	}
	o.last, o.left = r, t.Remaining
	if o.bucket || o.at.IsZero() || t.Remaining > 0 {
		return 0
	}
	return max(o.at.Add(t.Window).Sub(r.now), 0)
}
