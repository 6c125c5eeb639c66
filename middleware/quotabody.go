package middleware

import (
	"slices"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
)

// A quotaBody is the body of a quota: see Quota.
type quotaBody struct {
	Unlimited bool         `json:"unlimited"`
	Limits    []quotaLimit `json:"limits"`
	Routes    []quotaLimit `json:"routes"`
}

type quotaLimit struct {
	Name      string `json:"name"`
	Text      string `json:"text"`
	Unit      string `json:"unit"`
	Limit     int    `json:"limit"`
	Remaining int    `json:"remaining"`
	Held      int    `json:"held"`
	Shared    bool   `json:"shared"`
	*quotaTimes
}

// quotaTimes are the times of a limit, but of one on concurrent requests.
type quotaTimes struct {
	NextAfterMS  int64  `json:"next_after_ms"`
	NextAt       string `json:"next_at"`
	ResetAfterMS int64  `json:"reset_after_ms"`
	ResetAt      string `json:"reset_at"`
}

func newQuotaBody() *quotaBody {
	return &quotaBody{Unlimited: true, Limits: []quotaLimit{}, Routes: []quotaLimit{}}
}

// add adds the limits of the key and of parts that are enforced.
func (b *quotaBody) add(own *ratelimit.Result, parts []ratelimit.Result) {
	now := time.Now()
	b.Limits = append(b.Limits, quotaLimits(own, now)...)
	for i := range parts {
		for _, limit := range quotaLimits(&parts[i], now) {
			same := func(other quotaLimit) bool { return other.Name == limit.Name && other.Text == limit.Text }
			if !slices.ContainsFunc(b.Routes, same) { // two muxes may have one pattern
				b.Routes = append(b.Routes, limit)
			}
		}
	}
	b.Unlimited = len(b.Limits) == 0 && len(b.Routes) == 0
}

// quotaLimits returns the limits of a result in the order of the policy, so that a caller finds
// each in the same place every time.
func quotaLimits(r *ratelimit.Result, now time.Time) []quotaLimit {
	if r.Shadow() {
		return nil
	}
	var limits []quotaLimit
	for _, l := range r.Policy().Limits() {
		if r.Blocked() { // of a route that locks the key out: nothing is left until that ends
			limits = append(limits, quotaOf(&ratelimit.LimitState{Limit: l, NextAfter: r.RetryAfter(), ResetAfter: r.RetryAfter()}, now))
		}
		for i := range r.Len() {
			if s := r.State(i); s.Limit.Name == l.Name {
				limits = append(limits, quotaOf(&s, now))
			}
		}
	}
	return limits
}

func quotaOf(s *ratelimit.LimitState, now time.Time) quotaLimit {
	text := s.Limit
	text.Name, text.Shared = "", false // which are fields of their own
	text.Lockout = ratelimit.Lockout{} // which is for operators
	q := quotaLimit{
		Name: s.Limit.Name, Text: text.String(), Unit: "requests", Limit: s.Limit.Burst,
		Remaining: s.Remaining, Held: s.Held, Shared: s.Limit.Shared,
	}
	if s.Limit.Concurrent {
		q.Unit = reply.ConcurrentUnit
		return q
	}
	q.quotaTimes = &quotaTimes{
		NextAfterMS: reply.Milliseconds(s.NextAfter), NextAt: quotaTime(now, s.NextAfter),
		ResetAfterMS: reply.Milliseconds(s.ResetAfter), ResetAt: quotaTime(now, s.ResetAfter),
	}
	return q
}

// quotaTime returns the instant in d, rounded up to a millisecond.
func quotaTime(now time.Time, d time.Duration) string {
	const form = "2006-01-02T15:04:05.000Z07:00" // RFC 3339; it cuts off the rest
	return now.Add(d + time.Millisecond - 1).UTC().Format(form)
}
