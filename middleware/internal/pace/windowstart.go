package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// A windowStart finds the end of a window whose length is reported, but not its end: one
// length after it began, and it began when more remained than before. HubSpot and Riot
// Games report their windows so.
type windowStart struct {
	at     time.Time // when the window began, at the latest; zero if unknown
	last   observation
	left   int
	bucket bool // more remains before the end, too
}

// reset returns the time until the window ends: as reported or as found, 0 if unknown. A
// found one is returned only if nothing remains.
func (w *windowStart) reset(t signals.Limit, o observation) time.Duration {
	if t.Reset > 0 || t.Refills || t.Window == 0 || t.Remaining == signals.Unknown {
		return t.Reset
	}
	rose := w.last.number > 0 && t.Remaining-w.left-o.unseen-w.last.after > 0
	switch {
	case rose && !w.at.IsZero() && o.now.Before(w.at.Add(t.Window-t.Window/8)):
		w.bucket = true
	case rose, w.last.number == 0 && t.Remaining == t.Quota-1:
		w.at = o.now
	}
	w.last, w.left = o, t.Remaining
	if w.bucket || w.at.IsZero() || t.Remaining > 0 {
		return 0
	}
	return max(w.at.Add(t.Window).Sub(o.now), 0)
}
