package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	descriptorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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

// ShouldRateLimit decides about each descriptor. They are decided one by one: those that are not over
// their limit are charged even if another one is. The limits are those of the rules: an override in a
// descriptor is ignored.
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
