package ratelimit

import (
	"crypto/sha256"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/internal/top"
)

// A ShadowReport lists the keys that shadow limits would have denied since the limiter was
// made.
type ShadowReport struct {
	// Since is when counting began.
	Since time.Time
	// Decisions counts the decisions that were watched: in shadow mode, or by a policy with a
	// limit that is shadow. They are those that Config.Observe is called for, except for calls
	// that cost nothing or ended with an error.
	Decisions int64
	// WouldDeny counts those that were admitted and would have been denied.
	WouldDeny int64
	// Undecided counts how often a shadow limit beside enforced ones failed to decide in
	// time. The calls were served.
	Undecided int64
	// Keys are those with the most denials, the most first. A key has an entry for each
	// limit that would have denied it; there are Config.ShadowKeys entries at most.
	Keys []ShadowKey
}

// A ShadowKey is a key and one limit that would have denied it.
type ShadowKey struct {
	Key   string // as [HashKey] writes it: "sha256:" and 64 digits
	Limit string // the name of the limit
	// WouldDeny is how many calls would have been denied. Among more keys than there
	// is room for, up to Overcount of them may have been other keys': so the true
	// number is from WouldDeny-Overcount to WouldDeny.
	WouldDeny, Overcount int64
	// Tokens is what the calls cost that were surely this key's, together, up to
	// [math.MaxInt64], and MaxRetryAfter the longest wait that one of them would have
	// been answered with, which may be [gcra.Never].
	Tokens        int64
	MaxRetryAfter time.Duration
	// First and Last are when the first and the last of them came.
	First, Last time.Time
}

// defaultShadowKeys is how many keys a report holds when Config.ShadowKeys is 0, and
// maxShadowKeys how many it can hold.
const (
	defaultShadowKeys = 100
	maxShadowKeys     = 100_000
)

// ShadowReport returns the keys that shadow limits would have denied, as hashes. It lists
// every key whose denials by one limit are more than all denials divided by
// Config.ShadowKeys; a call counts as one denial for each limit that would have denied it.
// The method is the Space-Saving method (Metwally, Agrawal, El Abbadi: Efficient
// Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005). Limiters made by
// [Limiter.With] share the report. Callers wait for no more than a copy of it. The report of
// the zero Limiter is zero.
func (l *Limiter) ShadowReport() ShadowReport {
	if l.record == nil {
		return ShadowReport{}
	}
	w := &l.report
	report := ShadowReport{Since: w.since, Decisions: w.decisions.Load(), WouldDeny: w.wouldDeny.Load(), Undecided: w.undecided.Load()}
	for _, c := range w.counters() {
		report.Keys = append(report.Keys, ShadowKey{
			Key: keyhash.Text(c.ID.Key), Limit: c.ID.Limit,
			WouldDeny: c.Count, Overcount: c.Over,
			Tokens: c.Seen.Tokens, MaxRetryAfter: c.Seen.Longest, First: c.Seen.First, Last: c.Seen.Last,
		})
	}
	return report
}

// counters returns copies of the counters, the largest first. It sorts them without the
// lock.
func (w *watched) counters() []top.Counter {
	w.mu.Lock()
	counters := w.denials.Copy()
	w.mu.Unlock()
	top.Sort(counters)
	return counters
}

// watched counts for the report. A call that would not have been denied costs one addition.
type watched struct {
	since                           time.Time
	decisions, wouldDeny, undecided atomic.Int64

	mu      sync.Mutex
	denials top.Denials
}

// count counts one call.
func (w *watched) count(key string, r *Result) {
	w.decisions.Add(1)
	for i := range r.policy.beside {
		if !r.denied && r.beside&(besideKnown<<i) == 0 {
			w.undecided.Add(1)
		}
	}
	if !r.WouldDeny() {
		return
	}
	w.wouldDeny.Add(1)
	now, hash := time.Now(), keyhash.Of(key)
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.denied {
		w.add(hash, r.Limit().Name, r.cost, r.RetryAfter(), now)
		return
	}
	for i := range r.policy.beside {
		if s, _ := r.ShadowState(i); s.Violated {
			w.add(hash, s.Limit.Name, r.cost, s.RetryAfter, now)
		}
	}
}

// add counts one denial.
func (w *watched) add(key [sha256.Size]byte, limit string, cost int, wait time.Duration, now time.Time) {
	seen := w.denials.Count(top.ID{Key: key, Limit: limit}, 1)
	if seen.First.IsZero() || now.Before(seen.First) { // callers overtake each other
		seen.First = now
	}
	if now.After(seen.Last) {
		seen.Last = now
	}
	seen.Tokens += min(int64(cost), math.MaxInt64-seen.Tokens)
	seen.Longest = max(seen.Longest, wait)
}

// HashKey returns "sha256:" and the hexadecimal digits of the SHA-256 hash of key: how a
// report shows a key, and how a table of limits may list it. The hash of a key that can be
// guessed can be guessed as well.
func HashKey(key string) string { return keyhash.Text(keyhash.Of(key)) }
