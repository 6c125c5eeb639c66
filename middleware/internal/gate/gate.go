// Package gate takes a call from its key to a decision. It does not depend on HTTP: a
// package for a protocol, such as middleware, configures a Gate with functions of its kind
// of call, and responds to the call according to the decision.
//
// A call goes one way: Free, Skip, Key, Cost or Reserve, the limiter, and the wait if it is denied. A
// panic or an error of one of these does not end the call. It is a fault, which is reported.
package gate

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// A Gate decides about calls of type C.
type Gate[C any] struct {
	limiter *ratelimit.Limiter
	config  Config[C]
	faults  *faults
	places  *places // nil with Config.DisableQueue
}

// New returns a Gate.
func New[C any](limiter *ratelimit.Limiter, c Config[C]) *Gate[C] {
	g := &Gate[C]{limiter: limiter.AtDoor(), config: c, faults: &faults{hook: c.OnFault, logger: c.Logger}}
	if !c.DisableQueue {
		g.places = newPlaces()
	}
	return g
}

// With returns a Gate like g with another limiter and, unless cost is 0, a fixed cost.
// Both share their memory of faults and places.
func (g *Gate[C]) With(limiter *ratelimit.Limiter, cost int) *Gate[C] {
	other := *g
	other.limiter = limiter.AtDoor()
	if cost > 0 {
		other.config.Cost, other.config.Reserve = func(C) int { return cost }, nil
	}
	return &other
}

// A Call is a call and the decision about it.
type Call struct {
	Pattern string // of its route: for Observe

	Outcome Outcome
	Served  bool             // whether to serve it
	Key     string           // as the limiter got it; "" if the call has none or several
	Err     error            // ErrKeys or ErrAddresses if it has several
	Result  ratelimit.Result // the zero Result if the limiter did not decide
	Hold    *ratelimit.Hold  // what a served call holds until it ends: see NewHeld; nil if nothing
	Class   string           // of the error if the limiter could not decide
	Wait    time.Duration    // for a denied call: gcra.Never if waiting does not help
	Took    time.Duration    // if there is an Observe
}

// Decided reports whether the limiter made a decision.
func (c *Call) Decided() bool {
	switch c.Outcome {
	case Allowed, Denied, Shadow, Exempt, Blocked:
		return true
	}
	return false
}

// Decide decides about a call and sets all fields of call but Pattern. The context should
// not end when the client disconnects, because the call must be charged.
func (g *Gate[C]) Decide(ctx context.Context, of C, call *Call) {
	if g.config.Observe == nil {
		g.decide(ctx, of, call)
		return
	}
	start := time.Now()
	g.decide(ctx, of, call)
	call.Took = time.Since(start)
	if store.Try(func() { g.config.Observe(of, *call) }) != nil {
		g.Report(ctx, FaultObservePanic, "the outcome stands")
	}
}

func (g *Gate[C]) decide(ctx context.Context, of C, call *Call) {
	switch {
	case g.config.Free != nil && g.config.Free(of):
		call.Outcome, call.Served = Preflight, true
		g.limiter.Ended(metrics.Skipped)
		return
	case g.skip(ctx, of):
		call.Outcome, call.Served = Skipped, true
		g.limiter.Ended(metrics.Skipped)
		return
	}
	call.Key, call.Err = g.key(ctx, of)
	if call.Key == "" {
		// In shadow mode the call is served without a decision.
		call.Outcome, call.Served = NoKey, g.limiter.Shadow()
		ended := metrics.NoKey
		if call.Err != nil {
			call.Outcome, ended = Ambiguous, metrics.AmbiguousKey
		}
		g.limiter.Ended(ended)
		return
	}
	if err := g.take(ctx, call, g.cost(ctx, of)); err != nil {
		g.undecided(ctx, call, err)
		return
	}
	call.Outcome, call.Served = outcomeOf(&call.Result), call.Result.Allowed
	if !call.Served {
		call.Wait = g.Wait(of, call.Key, &call.Result)
	}
	if !call.Served || call.Outcome == Exempt || call.Result.Cost() == 0 {
		call.Hold = nil
	}
}

func (g *Gate[C]) skip(ctx context.Context, of C) (skip bool) {
	if g.config.Skip == nil {
		return false
	}
	if store.Try(func() { skip = g.config.Skip(of) }) != nil {
		g.Report(ctx, FaultSkipPanic, "limited all the same")
		return false
	}
	return skip
}

func (g *Gate[C]) cost(ctx context.Context, of C) (n int) {
	cost, panicked, negative := g.config.Cost, FaultCostPanic, FaultNegativeCost
	if g.config.Reserve != nil {
		cost, panicked, negative = g.config.Reserve, FaultReservePanic, FaultNegativeReserve
	}
	if cost == nil {
		return 1
	}
	if store.Try(func() { n = cost(of) }) != nil {
		g.Report(ctx, panicked, "counted as 1")
		return 1
	}
	if n < 0 {
		g.Report(ctx, negative, "counted as 1")
		return 1
	}
	return n
}

// take calls the limiter. A panic of the store is an error.
func (g *Gate[C]) take(ctx context.Context, call *Call, cost int) (err error) {
	if store.Try(func() {
		switch {
		case g.config.Part:
			call.Result, err = g.limiter.AllowN(ctx, call.Key, cost)
		case g.config.Priced:
			call.Hold, err = g.limiter.Hold(ctx, call.Key, cost)
			call.Result = call.Hold.Result()
		default:
			call.Result, call.Hold, err = g.limiter.Enter(ctx, call.Key, cost)
		}
	}) != nil {
		return &store.Error{Class: store.ClassPanic}
	}
	return err
}

// undecided serves or denies a call that the limiter could not decide. In shadow mode it is
// served.
func (g *Gate[C]) undecided(ctx context.Context, call *Call, err error) {
	shadow := call.Result.Shadow() || g.limiter.Shadow()
	call.Class, call.Result, call.Hold = store.ErrorClass(err), ratelimit.Result{}, nil
	if !shadow && g.config.FailClosed {
		call.Outcome, call.Wait = FailedClosed, g.jittered(time.Second)
		g.limiter.Ended(metrics.UndecidedDenied)
		g.Report(ctx, call.Class, "denied as unavailable")
		return
	}
	call.Outcome, call.Served = FailedOpen, true
	g.limiter.Ended(metrics.UndecidedAllowed)
	g.Report(ctx, call.Class, "served without a limit")
}
