package admin

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// A Fleet keeps the table that several nodes share, such as a Table of package
// store/redisstore/table. Its methods are called concurrently. If it has those of [Steering] as
// well, operators can roll changes back and override limits for a time.
type Fleet interface {
	// Snapshot returns the table that operators edit, without overrides.
	Snapshot() plans.Snapshot
	// Replace puts c in force on all nodes, unless the table is no longer that of s: then it
	// returns [plans.ErrChanged].
	Replace(ctx context.Context, who string, s plans.Snapshot, c plans.TableConfig) (plans.Snapshot, error)
	// Changes returns the audit trail, the newest change first.
	Changes() []plans.Change
}

// fleetTime is how long a change of the table of a fleet may take.
const fleetTime = 10 * time.Second

// edited returns the table that operators edit.
func (h *handler) edited() plans.Snapshot {
	if h.config.Fleet != nil {
		return h.config.Fleet.Snapshot()
	}
	return h.config.Table.Snapshot()
}

// put replaces the table of s, on all nodes if a fleet shares it.
func (c *call) put(s plans.Snapshot, table plans.TableConfig) (replaced plans.Snapshot, err error) {
	if c.config.Fleet == nil {
		return s.Replace(table)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), fleetTime) // a client that hangs up does not leave it undecided
	defer cancel()
	if store.Try(func() { replaced, err = c.config.Fleet.Replace(ctx, c.who(), s, table) }) != nil {
		err = &store.Error{Class: store.ClassPanic}
	}
	return replaced, err
}

// changes returns the audit trail.
func (h *handler) changes() []plans.Change {
	if h.config.Fleet != nil {
		return h.config.Fleet.Changes()
	}
	return h.config.Table.Changes()
}

// who returns the operator who sent the request, for the audit trail.
func (c *call) who() (who string) {
	if f := c.config.Operator; f != nil {
		if store.Try(func() { who = f(c.r) }) != nil {
			c.log(c.r.Context(), "admin: Config.Operator panicked")
		}
	}
	if who != "" {
		return who
	}
	if name, _, ok := c.r.BasicAuth(); ok && name != "" {
		return name
	}
	if host, _, err := net.SplitHostPort(c.r.RemoteAddr); err == nil {
		return host
	}
	return "admin"
}

// fleetFailed responds to a change that the store of the fleet has not confirmed.
func (c *call) fleetFailed(err error) {
	c.w.Header().Set("Retry-After", "1")
	c.answerProblem(problem{
		Status: http.StatusServiceUnavailable, Class: store.ErrorClass(err),
		Detail: "The table of the fleet cannot be changed now, so that the old one stays in force; or it was, and the answer was lost. Read it again.",
	})
}
