package table

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// active returns the overrides that have not ended, and the first end; zero if there is none.
func active(all []plans.Override, now time.Time) (left []plans.Override, end time.Time) {
	for _, o := range all {
		if !now.Before(o.Until) {
			continue
		}
		if left = append(left, o); end.IsZero() || o.Until.Before(end) {
			end = o.Until
		}
	}
	return left, end
}
