// Package rpc is what the doors for gRPC and Connect have in common. It depends on neither: a
// door hands it a [Call], and gets headers, or a [Denial] to write as its framework does.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
)

// Config configures a Door. The public packages document the fields that they have, too.
type Config struct {
	Lower   bool                                // names of headers are in lower case
	Package string                              // of the door, for errors
	Values  func(c *Call, name string) []string // returns the values of a request header
	Address func(c *Call) string                // returns the address of the peer; nil: it is in the call
	// Connection returns a string that is the same for calls on one connection; nil: Address
	Connection func(c *Call) string
	// Violations returns the detail of an error that lists limits. It must not change: denials share it.
	Violations func([]Violation) any

	Key                Key
	TrustedProxies     []netip.Prefix
	RequireKey         bool
	Cost               func(ctx context.Context, method string, request any) int
	Reserve            func(ctx context.Context, method string, request any) int
	MessageCost        func(ctx context.Context, method string, message any) int
	Skip               func(ctx context.Context, method string) bool
	BlockedAsExhausted bool
	FailClosed         bool
	Jitter             time.Duration
	DisableQueue       bool
	ResultInContext    bool
	Observe            func(context.Context, middleware.Event)
	OnFault            func(ctx context.Context, class string)
	Logger             *slog.Logger
}

// A Door decides about calls.
type Door struct {
	own     *limits
	methods map[string]*limits // of routes
	twice   twice
}

// limits are those of the methods without a route, or of one with it.
type limits struct {
	gate     *gate.Gate[*Call]
	messages *gate.Gate[*Call] // nil without a MessageCost
	reply    *reply.Reply
	result   bool // the context of the handler has it
	blocked  Code // of a call whose key is blocked

	violations func([]Violation) any
}

// New returns a Door. The error joins all faults.
func New(limiter *ratelimit.Limiter, c Config, routes ...middleware.Route) (*Door, error) {
	d := &Door{methods: make(map[string]*limits, len(routes))}
	faults := c.faults(limiter)
	usable := usable(limiter)
	if usable == nil {
		d.own = c.limits(limiter, d)
	}
	for i, r := range routes {
		fault := func(err error) {
			faults = append(faults, fmt.Errorf("%s: routes[%d] %q: %w", c.Package, i, r.Pattern, err))
		}
		if !isMethod(r.Pattern) {
			fault(errors.New(`Route.Pattern must be a full method, such as "/package.Service/Method"`))
		}
		if _, twice := d.methods[r.Pattern]; twice {
			fault(errors.New("Route.Pattern must differ from those of the other routes; give all limits of a method in one Route"))
		}
		d.methods[r.Pattern] = nil
		if usable != nil {
			continue
		}
		of, err := r.Limiter(limiter)
		if err != nil {
			fault(err)
			continue
		}
		d.methods[r.Pattern] = c.with(d.own, of, r.Cost)
		faults = append(faults, c.messageFaults(r.Limits)...)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return d, nil
}

// usable returns an error if limiter cannot decide.
func usable(limiter *ratelimit.Limiter) error {
	_, err := middleware.Route{Cost: 1}.Limiter(limiter)
	return err
}

// isMethod reports whether s is "/service/method".
func isMethod(s string) bool {
	service, method, found := strings.Cut(strings.TrimPrefix(s, "/"), "/")
	return strings.HasPrefix(s, "/") && found && service != "" && method != "" && !strings.Contains(method, "/")
}

// faults returns everything that is wrong with c and limiter.
func (c *Config) faults(limiter *ratelimit.Limiter) (faults []error) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(c.Package+": "+format, args...))
	}
	if c.Key.Fault != nil {
		fault("Config.Key: %w", c.Key.Fault)
	}
	for i, p := range c.TrustedProxies {
		if want := address.Fault(p); want != "" {
			fault("Config.TrustedProxies[%d] %v %s", i, p, want)
		}
	}
	if c.RequireKey && c.Key.Find == nil && c.Key.Fault == nil {
		fault("Config.RequireKey needs a Key")
	}
	if c.Reserve != nil && c.Cost != nil {
		fault("Config.Reserve must not be set beside Cost; use Cost if the price is known before the handler runs, and Reserve if it is not")
	}
	if c.Jitter < 0 || c.Jitter > middleware.MaxJitter {
		fault("Config.Jitter %v must be from 0 to %v", c.Jitter, middleware.MaxJitter)
	}
	if err := usable(limiter); err != nil {
		return append(faults, err)
	}
	if c.Reserve != nil && !limiter.Holds() {
		fault("Config.Reserve needs a limiter whose store is a store.Holder, such as a memstore.Store, to hold tokens")
	}
	switch own := limiter.Limits().(type) {
	case ratelimit.Limit:
		faults = append(faults, c.messageFaults([]ratelimit.Limit{own})...)
	case *ratelimit.Policy:
		faults = append(faults, c.messageFaults(own.Limits())...)
	}
	return faults
}

// messageFaults returns what is wrong with the limits of messages.
func (c *Config) messageFaults(of []ratelimit.Limit) (faults []error) {
	if c.MessageCost != nil && slices.ContainsFunc(of, func(l ratelimit.Limit) bool { return l.Concurrent }) {
		faults = append(faults, fmt.Errorf("%s: Config.MessageCost must not be set beside limits on concurrent calls: a message takes no place in them", c.Package))
	}
	return faults
}

// limits returns those of limiter.
func (c *Config) limits(limiter *ratelimit.Limiter, d *Door) *limits {
	proxies := address.NewProxies(c.TrustedProxies, false, "")
	peer := c.Address
	if peer == nil {
		peer = func(call *Call) string { return call.Peer }
	}
	from := func(call *Call) (string, error) {
		var header map[string][]string
		if len(c.TrustedProxies) > 0 {
			header = map[string][]string{"X-Forwarded-For": c.Values(call, "X-Forwarded-For")}
		}
		client, ok := proxies.Client(peer(call), header)
		if !ok {
			return "", gate.ErrAddresses
		}
		return address.Key(client), nil
	}
	all := gate.Config[*Call]{
		Key:     func(call *Call) (string, error) { return c.Key.of(call, from) },
		Address: from, Peer: c.Connection,
		RequireKey: c.RequireKey, FailClosed: c.FailClosed, DisableQueue: c.DisableQueue, Jitter: c.Jitter,
		OnFault: c.OnFault, Logger: c.Logger,
	}
	if all.Peer == nil {
		all.Peer = peer
	}
	if c.Observe != nil {
		all.Observe = func(of *Call, g gate.Call) {
			c.Observe(of.Context, middleware.Event{
				Outcome: middleware.Outcome(g.Outcome), Served: g.Served, Pattern: g.Pattern, Result: g.Result, Class: g.Class, Took: g.Took,
			})
		}
	}
	calls := all
	calls.Skip = func(of *Call) bool {
		return isInfrastructure(of.Method) && d.methods[of.Method] == nil || c.Skip != nil && c.Skip(of.Context, of.Method)
	}
	calls.Cost, calls.Reserve, calls.Priced = costOf(c.Cost), costOf(c.Reserve), c.Reserve != nil
	l := &limits{gate: gate.New(limiter, calls), reply: c.newReply(), result: c.ResultInContext, blocked: PermissionDenied, violations: c.Violations}
	if c.BlockedAsExhausted {
		l.blocked = ResourceExhausted
	}
	if c.MessageCost != nil {
		all.Key = func(of *Call) (string, error) { return of.key, nil }
		all.Cost, all.Part = costOf(c.MessageCost), true
		l.messages = gate.New(limiter, all)
	}
	return l
}

// newReply returns a Reply with an empty memory.
func (c *Config) newReply() *reply.Reply {
	if c.Lower {
		return reply.NewLower()
	}
	return reply.New(false, reply.ResetOff)
}

func costOf(f func(context.Context, string, any) int) func(*Call) int {
	if f == nil {
		return nil
	}
	return func(of *Call) int { return f(of.Context, of.Method, of.Request) }
}

// isInfrastructure reports whether a method belongs to health checks or to reflection.
func isInfrastructure(method string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	switch service {
	case "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return true
	}
	return false
}

// with returns limits like l for a route.
func (c *Config) with(l *limits, limiter *ratelimit.Limiter, cost int) *limits {
	other := &limits{gate: l.gate.With(limiter, cost), reply: c.newReply(), result: l.result, blocked: l.blocked, violations: c.Violations}
	if l.messages != nil {
		other.messages = l.messages.With(limiter, 0)
	}
	return other
}

// of returns the limits of a method.
func (d *Door) of(method string) *limits {
	if l := d.methods[method]; l != nil {
		return l
	}
	return d.own
}
