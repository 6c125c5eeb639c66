package ratelimit

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/internal/text"
	"github.com/keyrate/keyrate/store"
)

// A Limit is a token bucket: it holds up to Burst tokens, each call takes its
// cost in tokens, and Rate tokens come back, evenly, in every Period. Or, with Concurrent, it
// bounds how many calls may run at a time: see [AtOnce].
//
// The zero Limit is not valid; [NewPolicy] and [New] reject it.
// A Limit is a plain value: copy it, compare it, use it from many goroutines.
type Limit struct {
	// Name distinguishes the limits of one key, and appears in the response headers. ""
	// means "default" or, with Concurrent, "concurrent". Two policies on one store that name
	// the same limit share its bucket. If their rates differ, what a key has used under one
	// stays used under both. If only their bursts differ, each decision by the lower burst
	// cuts the debt to it, for both: give such limits different names.
	Name string
	// Rate is how many tokens come back per Period, from 1 to [gcra.MaxRate]. With
	// Concurrent, it is how many calls may run at a time.
	Rate int
	// Period is a whole number of microseconds, from one to [gcra.MaxRefill]. With
	// Concurrent, it must be 0.
	Period time.Duration
	// Burst is how many tokens the bucket holds, at most [gcra.MaxBurst]. 0 means Rate. With
	// Concurrent, there is no other.
	Burst int
	// Concurrent makes the limit bound the calls that run at a time. Each takes one of Rate
	// places, whatever it costs, and gives it back at its end. [Limiter.Hold] and
	// [Limiter.Enter] decide such calls. They need a [store.Holder].
	Concurrent bool
	// Shared makes all keys of a home share the bucket of the limit: see [Policy.In]. The
	// policy must have a home.
	Shared bool
	// Shadow makes the limit decide and report, but deny no call: see
	// [Limiter.ShadowReport]. Beside limits that are enforced it is decided on its own,
	// for the calls that those admit; if all limits of a key are shadow, they are decided
	// together, as they would be enforced.
	Shadow bool
	// EnforceFrom, if not 0, is when Shadow ends, in seconds since 1970 UTC by this
	// machine's clock: from then on the limit is enforced, and what it has seen until then
	// counts. A node whose clock is set back to before the date still enforces it. It needs Shadow; [Limit.EnforcedFrom] sets both.
	EnforceFrom int64
	// EnforceFor, if not 0, is for what percentage of the keys, 1 to 99, the limit is enforced
	// although it is Shadow. A hash of the key and of the name of the limit selects them, or of
	// the home for a Shared limit: the same on all nodes, others for each name, and a larger
	// percentage only adds some. It needs Shadow; [Limit.EnforcedFor] sets both.
	EnforceFor int
	// Lockout blocks a key that goes on calling although the limit denies it. The zero Lockout
	// does not.
	Lockout Lockout
}

// The names of limits that were given none. They differ, so that a rate and a limit on
// concurrent calls go together without one.
const (
	defaultName    = "default"
	concurrentName = "concurrent"
)

// usualName returns the name that l has without one.
func (l Limit) usualName() string {
	if l.Concurrent {
		return concurrentName
	}
	return defaultName
}

// PerSecond returns the limit of n per second, with a burst of n.
func PerSecond(n int) Limit { return Limit{Rate: n, Period: time.Second} }

// PerMinute returns the limit of n per minute, with a burst of n.
func PerMinute(n int) Limit { return Limit{Rate: n, Period: time.Minute} }

// PerHour returns the limit of n per hour, with a burst of n.
func PerHour(n int) Limit { return Limit{Rate: n, Period: time.Hour} }

// PerDay returns the limit of n per 24 hours, with a burst of n.
func PerDay(n int) Limit { return Limit{Rate: n, Period: 24 * time.Hour} }

// AtOnce returns the limit of n calls at a time.
func AtOnce(n int) Limit { return Limit{Rate: n, Concurrent: true} }

// WithBurst returns l with room for n tokens in its bucket.
func (l Limit) WithBurst(n int) Limit {
	l.Burst = n
	return l
}

// SharedByHome returns l with Shared set: all keys of a home share its bucket.
func (l Limit) SharedByHome() Limit {
	l.Shared = true
	return l
}

// Named returns l under the given name.
func (l Limit) Named(name string) Limit {
	l.Name = name
	return l
}

// Shadowed returns l with Shadow set: it denies no call.
func (l Limit) Shadowed() Limit {
	l.Shadow, l.EnforceFrom, l.EnforceFor = true, 0, 0
	return l
}

// EnforcedFor returns l as a shadow limit that is enforced for a percentage of the keys, 1 to 99.
func (l Limit) EnforcedFor(percent int) Limit {
	l.Shadow, l.EnforceFor = true, percent
	return l
}

// EnforcedFrom returns l as a shadow limit that is enforced from t on, cut off to a whole
// second. [NewPolicy] rejects a t before 1970.
func (l Limit) EnforcedFrom(t time.Time) Limit {
	l.Shadow, l.EnforceFrom = true, t.Unix()
	if l.EnforceFrom == 0 { // which would be no date at all
		l.EnforceFrom = 1
	}
	return l
}

// check returns nil for a limit that can be used, or a [LimitError] for each fault of l,
// joined.
func (l Limit) check() error {
	burstGiven := l.Burst != 0
	l = l.withDefaults()
	var faults []error
	fault := func(field string, value any, want string) {
		faults = append(faults, &LimitError{Limit: l.Name, Field: field, Value: value, Want: want})
	}
	if _, err := store.NewLimit(l.Name, gcra.Rate{}); err != nil {
		fault("Name", l.Name, fmt.Sprintf(`must be 1 to %d printable ASCII characters without " \ ; or , and without a space at either end, such as "daily"`, store.MaxName))
	}
	rateOK := l.Rate >= 1 && int64(l.Rate) <= gcra.MaxRate // an int may have 32 bits
	if !rateOK {
		such := "5/s or ratelimit.PerSecond(5)"
		if l.Concurrent {
			such = "10 at a time or ratelimit.AtOnce(10)"
		}
		fault("Rate", l.Rate, fmt.Sprintf("must be from 1 to %d, such as %s; to stop a key, use ratelimit.Blocked; to exempt one, use ratelimit.Unlimited", int64(gcra.MaxRate), such))
	}
	if l.Concurrent {
		l.checkConcurrent(fault)
	} else {
		l.checkBucket(rateOK, burstGiven, fault)
	}
	if !l.Lockout.valid() {
		fault("Lockout", l.Lockout.String(), wantLockout)
	}
	switch {
	case l.EnforceFrom < 0 || l.EnforceFrom > text.MaxDate:
		fault("EnforceFrom", l.EnforceFrom, "must be in seconds since 1970 and before the year 10000, as Limit.EnforcedFrom sets it; 0 means that no date ends Shadow")
	case l.EnforceFrom != 0 && !l.Shadow:
		fault("EnforceFrom", l.EnforceFrom, "must come with Shadow, which it ends; Limit.EnforcedFrom sets both")
	}
	switch {
	case l.EnforceFor < 0 || l.EnforceFor > 99:
		fault("EnforceFor", l.EnforceFor, "must be a percentage from 1 to 99, or 0 for none; to enforce the limit for all keys, leave Shadow out")
	case l.EnforceFor != 0 && !l.Shadow:
		fault("EnforceFor", l.EnforceFor, "must come with Shadow, which holds for the other keys; Limit.EnforcedFor sets both")
	}
	return errors.Join(faults...)
}

// checkConcurrent reports what a limit on concurrent calls cannot have.
func (l Limit) checkConcurrent(fault func(field string, value any, want string)) {
	if l.Period != 0 {
		fault("Period", l.Period, "must be 0 with Concurrent: a call gives its place back when it ends, not after a time; for a rate, leave Concurrent out")
	}
	if l.Burst != l.Rate {
		fault("Burst", l.Burst, "must be 0 with Concurrent: at most Rate calls run at a time; for a rate, leave Concurrent out")
	}
}

// checkBucket reports what is wrong with the period and the burst of a rate.
func (l Limit) checkBucket(rateOK, burstGiven bool, fault func(field string, value any, want string)) {
	periodOK := l.Period >= time.Microsecond && l.Period%time.Microsecond == 0 && l.Period <= gcra.MaxRefill
	if !periodOK {
		fault("Period", l.Period, fmt.Sprintf("must be a whole number of microseconds, from 1µs to %v, such as 1s or time.Second", gcra.MaxRefill))
	}
	// A Burst left out takes Rate's value: then Rate's fault is the one to name.
	burstOK := l.Burst >= 1 && int64(l.Burst) <= gcra.MaxBurst
	if !burstOK && burstGiven {
		fault("Burst", l.Burst, fmt.Sprintf("must be from 1 to %d, or 0 for the same as Rate", int64(gcra.MaxBurst)))
	}
	if rateOK && periodOK && burstOK {
		if _, err := gcra.NewRate(l.Rate, l.Period, l.Burst); err != nil {
			fault("Burst", l.Burst, fmt.Sprintf("must refill within %v: Burst * Period / Rate may not exceed it; lower Burst or Period, or raise Rate", gcra.MaxRefill))
		}
	}
}

// withDefaults fills in what 0 and "" stand for.
func (l Limit) withDefaults() Limit {
	if l.Name == "" {
		l.Name = l.usualName()
	}
	if l.Burst == 0 {
		l.Burst = l.Rate
	}
	return l
}

// compiled returns a valid limit as stores work with it.
func (l Limit) compiled() store.Limit {
	l = l.withDefaults()
	r, _ := gcra.NewRate(l.Rate, l.Period, l.Burst)
	if l.Concurrent {
		r, _ = gcra.NewLoan(l.Rate)
	}
	compiled, _ := store.NewLimit(l.Name, r)
	compiled.Shared = l.Shared
	return compiled
}
