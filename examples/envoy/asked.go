package main

import (
	"math"
	"net/http"
	"strconv"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// An asked is a descriptor on its way through a door. It is the ResponseWriter, too.
type asked struct {
	key    string
	hits   int
	event  middleware.Event
	header http.Header
	body   []byte
}

func (a *asked) Header() http.Header { return a.header }
func (a *asked) WriteHeader(int)     {}
func (a *asked) Write(body []byte) (int, error) {
	a.body = append(a.body, body...)
	return len(body), nil
}

type askedKey struct{}

// of returns what a request asks.
func of(r *http.Request) *asked {
	a, _ := r.Context().Value(askedKey{}).(*asked)
	return a
}

// over reports whether the descriptor is over its limit.
func (a *asked) over() bool { return !a.event.Served && a.event.Outcome != "" }

// wait returns how long a descriptor that is over its limit must wait, with its place in the queue;
// 0 if no wait helps.
func (a *asked) wait() time.Duration {
	ms, _ := strconv.ParseInt(a.header.Get(middleware.HeaderRetryAfterMs), 10, 64)
	return time.Duration(ms) * time.Millisecond
}

// before reports whether the headers of a go to the client, and not those of b: what is over its
// limit and waits longest, or else what has least left.
func (a *asked) before(b *asked) bool {
	switch {
	case a.event.Result.Policy() == nil && !a.over():
		return false
	case b == nil:
		return true
	case a.over() || b.over():
		return a.over() && (!b.over() || a.wait() > b.wait())
	}
	return a.event.Result.Remaining() < b.event.Result.Remaining()
}

// status returns the answer about a descriptor.
func (a *asked) status() *ratelimitv3.RateLimitResponse_DescriptorStatus {
	s := &ratelimitv3.RateLimitResponse_DescriptorStatus{Code: ratelimitv3.RateLimitResponse_OK}
	if a.over() {
		s.Code = ratelimitv3.RateLimitResponse_OVER_LIMIT
	}
	r := a.event.Result
	if r.Policy() == nil {
		return s
	}
	s.LimitRemaining = uint32(min(r.Remaining(), math.MaxInt32)) //nolint:gosec // it fits
	if r.Len() > 0 {                                             // or the key is exempt or blocked
		s.CurrentLimit = limitOf(r.Limit())
	}
	switch {
	case !a.over():
		s.DurationUntilReset = durationpb.New(r.ResetAfter())
	case a.wait() > 0:
		s.DurationUntilReset = durationpb.New(a.wait())
	}
	return s
}

// units are those of Envoy that have a fixed length, the longest first.
var units = []struct {
	length time.Duration
	unit   ratelimitv3.RateLimitResponse_RateLimit_Unit
}{
	{7 * 24 * time.Hour, ratelimitv3.RateLimitResponse_RateLimit_WEEK},
	{24 * time.Hour, ratelimitv3.RateLimitResponse_RateLimit_DAY},
	{time.Hour, ratelimitv3.RateLimitResponse_RateLimit_HOUR},
	{time.Minute, ratelimitv3.RateLimitResponse_RateLimit_MINUTE},
	{time.Second, ratelimitv3.RateLimitResponse_RateLimit_SECOND},
}

// limitOf returns a limit as Envoy writes it, or nil if its period is not in whole seconds.
func limitOf(l ratelimit.Limit) *ratelimitv3.RateLimitResponse_RateLimit {
	for _, u := range units {
		if l.Period%u.length == 0 {
			of := &ratelimitv3.RateLimitResponse_RateLimit{Name: l.Name, RequestsPerUnit: uint32(min(l.Rate, math.MaxInt32)), Unit: u.unit} //nolint:gosec // it fits
			if n := l.Period / u.length; n > 1 {
				of.UnitMultiplier = wrapperspb.UInt32(uint32(n)) //nolint:gosec // a period is bounded
			}
			return of
		}
	}
	return nil
}
