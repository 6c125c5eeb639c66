package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// Table is the table that is shown and replaced. It must be the one that the limiter goes
	// by. With nil, requests about the table get 404. The plan of a key is looked up in this
	// table, even if a LimitsFunc in front of it holds the key to other limits.
	Table *plans.Table
	// Fleet, if not nil, keeps the table that several nodes share. Then it is shown and replaced,
	// on all nodes, and Table must be the one by which this node goes, such as the Table method
	// of Fleet returns it.
	Fleet Fleet
	// Operator returns the name of the operator who sent a request that was authorized, for the
	// audit trail of Fleet. It is called concurrently. With nil, or for "", the name is that of
	// Basic credentials, or else the address of the client. It must be no secret.
	Operator func(*http.Request) string
	// TrustedOrigins are other origins whose web pages may send requests, such as
	// "https://ops.example.com", in the form of
	// [http.CrossOriginProtection.AddTrustedOrigin]. Empty means none. The browser sends a
	// CORS preflight first, without a credential: a middleware around the handler must
	// answer it.
	TrustedOrigins []string
	// Observe, if not nil, is called for each request after it has been answered, denied
	// ones included, for an audit log. It is called concurrently, on the request's
	// goroutine. If it panics, that is logged.
	Observe func(*http.Request, Event)
	// Logger gets a line when a function of the program panics, at most one a second.
	// nil means slog.Default().
	Logger *slog.Logger
}

// An Event describes a request that has been answered. It contains no key, but the request
// contains credentials.
type Event struct {
	// Action is what the request asked for, "" if there is no such operation.
	Action Action
	// Status is the status of the response: below 300 if the action was done, 0 if a panic
	// ended the request.
	Status int
	// Key is the hash of the key that the request is about, as [ratelimit.HashKey] writes
	// it in a table and in the reports. "" if it is about none.
	Key string
	// Limit is the name of the limit that was reset, "" if several limits of the key were reset
	// or none was.
	Limit string
	// Block is the block that was put in force, as [ratelimit.ParseBlock] reads it, "" if none
	// was.
	Block string
	// ETag is the ETag of the table that was put in force, "" if none was.
	ETag string
}

// An Action is what a request can ask for. More may be added.
type Action string

// The actions.
const (
	ActionState       Action = "state"        // POST /key/state
	ActionReset       Action = "reset"        // POST /key/reset
	ActionResetShared Action = "reset-shared" // POST /key/reset-shared
	ActionBlock       Action = "block"        // POST /key/block
	ActionUnblock     Action = "unblock"      // POST /key/unblock
	ActionTable       Action = "table"        // GET /table
	ActionReplace     Action = "replace"      // PUT /table
	ActionSummary     Action = "summary"      // GET /table/summary
	ActionChanges     Action = "changes"      // GET /table/changes
	ActionRollBack    Action = "rollback"     // POST /table/rollback
	ActionOverride    Action = "override"     // POST /table/override
	ActionShadow      Action = "shadow"       // GET /shadow
	ActionDenied      Action = "denied"       // GET /denied
	ActionDescribe    Action = "describe"     // GET /openapi.json
	ActionConsole     Action = "console"      // GET /
	ActionLive        Action = "live"         // GET /live
)

// mayGoBy reports whether limits may come from table. Limits of a type that we do not know
// may look them up there.
func mayGoBy(limits ratelimit.Limits, table *plans.Table) bool {
	switch limits := limits.(type) {
	case *plans.Table:
		return limits == table
	case ratelimit.Limit, *ratelimit.Policy:
		return false
	default:
		return true
	}
}

// New returns a handler for the operators of limiter. Mount it with [http.StripPrefix].
//
// authorize is called for each request before anything is done, concurrently. If it
// returns false or panics, the request gets 403, or 401 if it has no Authorization header or
// a browser's Basic credentials, for which authorize is called twice: see the package. A
// request from a web page of another origin gets 403 without a call. authorize must check a
// credential, not only an address: every program on the same machine, such as a browser,
// has that address, too. authorize is required. The error joins all faults of the
// arguments.
func New(limiter *ratelimit.Limiter, authorize func(*http.Request) bool, c Config) (http.Handler, error) {
	h := &handler{limiter: limiter, authorize: authorize, config: c, origins: http.NewCrossOriginProtection(), maxTable: MaxTableBody}
	var faults []error
	switch {
	case limiter == nil:
		faults = append(faults, errors.New("admin: limiter is nil; make one with ratelimit.New, and look at its error"))
	case limiter.ShadowReport().Since.IsZero(): // any other counts since it was made
		faults = append(faults, errors.New("admin: limiter is the zero Limiter; make one with ratelimit.New, and look at its error"))
	}
	if authorize == nil {
		faults = append(faults, errors.New("admin: authorize is nil, so that any caller could lift every limit; pass a function that knows your operators, such as "+
			`func(r *http.Request) bool { return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1 }`))
	}
	if c.Table != nil && c.Table.Snapshot().Default() == nil {
		faults = append(faults, errors.New("admin: Config.Table is the zero Table; make one with plans.NewTable"))
	}
	if c.Table != nil && limiter != nil && !mayGoBy(limiter.Limits(), c.Table) {
		faults = append(faults, errors.New("admin: Config.Table is not the table of limiter, so what is put there would never be in force; make the limiter with ratelimit.New(store, table, ...)"))
	}
	if c.Fleet != nil && c.Table == nil {
		faults = append(faults, errors.New("admin: Config.Table is nil, but Config.Fleet is not; set it to the table in force on this node, such as fleet.Table()"))
	}
	for i, origin := range c.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("admin: Config.TrustedOrigins[%d] %q must be an origin, such as %q: %w", i, origin, "https://ops.example.com", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	h.feed = newFeed(h)
	return h, nil
}
