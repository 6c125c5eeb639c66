package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	descriptorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A service answers Envoy. Each rule has a door, so that headers and bodies are those of a Go
// program with the same limit.
type service struct {
	ratelimitv3.UnimplementedRateLimitServiceServer

	rules []rule
	doors []*middleware.Door // of the rules
}

// newService returns a service with the limits of rules and their buckets in a store.
func newService(buckets store.Store, rules []rule) (*service, error) {
	s := &service{rules: rules}
	for i, r := range rules {
		limiter, err := ratelimit.New(buckets, r.limit, ratelimit.Config{})
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		c := middleware.Config{
			Key:  middleware.KeyFunc(func(r *http.Request) (string, error) { return of(r).key, nil }),
			Cost: func(r *http.Request) int { return of(r).hits },
			// The configuration of Envoy decides what happens while the store fails.
			FailClosed: true,
			Observe:    func(r *http.Request, e middleware.Event) { of(r).event = e },
		}
		if r.byAddress() {
			c.Key = middleware.ClientIP() // the key of an address is not one that a client could send
		}
		door, err := middleware.NewDoor(limiter, c)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		s.doors = append(s.doors, door)
	}
	return s, nil
}

// byAddress reports whether the limit is that of a client address.
func (r rule) byAddress() bool { return slices.Equal(r.entries, []entry{{"remote_address", ""}}) }

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

// ShouldRateLimit decides about each descriptor. They are decided one by one: those that are not over
// their limit are charged even if another one is.
func (s *service) ShouldRateLimit(ctx context.Context, r *ratelimitv3.RateLimitRequest) (*ratelimitv3.RateLimitResponse, error) {
	if r.GetDomain() == "" || len(r.GetDescriptors()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a request needs a domain and a descriptor")
	}
	response := &ratelimitv3.RateLimitResponse{OverallCode: ratelimitv3.RateLimitResponse_OK}
	var deciding *asked // whose headers are sent
	for _, d := range r.GetDescriptors() {
		a, err := s.decide(ctx, r, d)
		if err != nil {
			return nil, err
		}
		state := a.status()
		response.Statuses = append(response.Statuses, state)
		if state.GetCode() == ratelimitv3.RateLimitResponse_OVER_LIMIT {
			response.OverallCode = state.GetCode()
		}
		if a.before(deciding) {
			deciding = a
		}
	}
	if deciding != nil {
		response.RawBody = deciding.body
		for name, values := range deciding.header {
			response.ResponseHeadersToAdd = append(response.ResponseHeadersToAdd, &corev3.HeaderValue{Key: strings.ToLower(name), Value: values[0]})
		}
		slices.SortFunc(response.GetResponseHeadersToAdd(), func(a, b *corev3.HeaderValue) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	}
	return response, nil
}

// decide decides about a descriptor.
func (s *service) decide(ctx context.Context, r *ratelimitv3.RateLimitRequest, d *descriptorv3.RateLimitDescriptor) (*asked, error) {
	a := &asked{hits: hits(r, d), header: http.Header{}}
	at := slices.IndexFunc(s.rules, func(rule rule) bool { return rule.fits(r.GetDomain(), d) })
	if at < 0 {
		return a, nil
	}
	request := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}}).WithContext(context.WithValue(ctx, askedKey{}, a))
	if s.rules[at].byAddress() {
		request.RemoteAddr = d.GetEntries()[0].GetValue()
	} else {
		a.key = s.rules[at].keyOf(d)
	}
	s.doors[at].Serve(a, request, "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if a.event.Outcome == middleware.OutcomeFailedClosed {
		return nil, status.Error(codes.Unavailable, "the store of the limits fails: "+a.event.Class)
	}
	return a, nil
}

// fits reports whether the rule is for a descriptor.
func (r rule) fits(domain string, d *descriptorv3.RateLimitDescriptor) bool {
	return r.domain == domain && slices.EqualFunc(r.entries, d.GetEntries(), func(e entry, of *descriptorv3.RateLimitDescriptor_Entry) bool {
		return e.name == of.GetKey() && (e.value == "" || e.value == of.GetValue())
	})
}

// keyOf returns the limiter's key of a descriptor: the value of the entry that may have any. So an
// API key has the bucket that middleware.Header gives it. Several values are joined without
// ambiguity; without any, all descriptors share a bucket.
func (r rule) keyOf(d *descriptorv3.RateLimitDescriptor) string {
	var values []string
	for i, e := range r.entries {
		if e.value == "" {
			values = append(values, d.GetEntries()[i].GetValue())
		}
	}
	switch len(values) {
	case 0:
		return "all"
	case 1:
		return values[0]
	}
	for i := range values {
		values[i] = url.QueryEscape(values[i])
	}
	return strings.Join(values, "&")
}

// hits returns the cost of a descriptor: its own hits_addend, or that of the request, or 1. What
// would be given back is not; it is free.
func hits(r *ratelimitv3.RateLimitRequest, d *descriptorv3.RateLimitDescriptor) int {
	n := uint64(max(1, r.GetHitsAddend()))
	if own := d.GetHitsAddend(); own != nil {
		n = own.GetValue()
	}
	if d.GetIsNegativeHits() {
		n = 0
	}
	return int(min(n, math.MaxInt32)) //nolint:gosec // it fits
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
	s.CurrentLimit = limitOf(r.Limit())
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
