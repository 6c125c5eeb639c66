package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/keyrate/keyrate/ratelimit"
)

// Config is what [New] can be told beside what it must. Its zero value is ready for use.
type Config struct {
	// Table is what is shown and replaced: the one that the limiter goes by; another one is
	// a fault. nil answers requests about the table with 404. The plan of a key is looked up in
	// this table, also if a LimitsFunc in front of it holds the key to other limits.
	Table *ratelimit.Table
	// TrustedOrigins are the web pages of other origins that may send requests, such as
	// "https://ops.example.com", as [http.CrossOriginProtection.AddTrustedOrigin] takes
	// them. Empty means none. A browser asks first, without a credential, whether it may:
	// to answer that, with the headers of CORS, is for a middleware around the handler.
	TrustedOrigins []string
	// Observe, if not nil, is told each request when it has been answered, those that
	// were refused, too: who did what. It is called concurrently, on the request's
	// goroutine. If it panics, that is logged.
	Observe func(*http.Request, Event)
	// Logger gets a line when a function of the program panics, at most one a second.
	// nil means slog.Default().
	Logger *slog.Logger
}

// An Event is a request that has been answered. It has no key in it, but the request has
// credentials.
type Event struct {
	// Action is what was asked for, "" for what there is not.
	Action Action
	// Status is the status of the answer: below 300 it was done. 0 means that a panic
	// ended the request.
	Status int
	// Key is the key that was asked about or reset, as [ratelimit.HashKey] writes it: as
	// in a table and in the shadow report. "" if there was none.
	Key string
	// Limit is the name of the limit that was reset, "" if all of the key were, or none.
	Limit string
	// ETag is that of the table that was put in force, "" if none was.
	ETag string
}

// An Action is something that can be asked for. More may come.
type Action string

// The actions.
const (
	ActionState    Action = "state"    // POST /key/state
	ActionReset    Action = "reset"    // POST /key/reset
	ActionTable    Action = "table"    // GET /table
	ActionReplace  Action = "replace"  // PUT /table
	ActionSummary  Action = "summary"  // GET /table/summary
	ActionShadow   Action = "shadow"   // GET /shadow
	ActionDescribe Action = "describe" // GET /openapi.json
)

// mayGoBy reports whether limits may be those of a table: limits that were written
// elsewhere may ask it.
func mayGoBy(limits ratelimit.Limits, table *ratelimit.Table) bool {
	switch limits := limits.(type) {
	case *ratelimit.Table:
		return limits == table
	case ratelimit.Limit, *ratelimit.Policy:
		return false
	default:
		return true
	}
}

// New returns a handler for those who operate limiter. It is to be mounted with
// [http.StripPrefix].
//
// authorize is asked about each request before anything is done, concurrently: where it
// returns false, or panics, the request is answered with 403, or with 401 if it has no
// Authorization header. (So is one that a web page of another origin sends, with 403: about
// those authorize is not asked.) Let it check a credential, not
// only an address: all that runs on the same machine, a browser for one, has the address,
// too. Without authorize there is no handler. The error joins all faults of the arguments.
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
		faults = append(faults, errors.New("admin: Config.Table is the zero Table; make one with ratelimit.NewTable"))
	}
	if c.Table != nil && limiter != nil && !mayGoBy(limiter.Limits(), c.Table) {
		faults = append(faults, errors.New("admin: Config.Table is not the table of limiter, so what is put there would never be in force; make the limiter with ratelimit.New(store, table, ...)"))
	}
	for i, origin := range c.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("admin: Config.TrustedOrigins[%d] %q must be an origin, such as %q: %w", i, origin, "https://ops.example.com", err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return h, nil
}
