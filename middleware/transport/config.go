package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// What the zero values in a Config stand for.
const (
	DefaultMaxWait    = time.Minute
	DefaultMaxRetries = 5
	DefaultMaxPaces   = 1024
)

// Config configures [New]. The zero value is ready to use.
//
// Its functions are called concurrently, on the goroutine of the request.
type Config struct {
	// MaxWait is the longest time that one request waits, in the queue and after
	// denials together. It does not limit how long responses take. 0 means
	// [DefaultMaxWait]. Waits count against an [http.Client.Timeout] and any other
	// deadline; no request waits past a deadline.
	MaxWait time.Duration
	// MaxRetries is how often a request is sent again after a denial. 0 means
	// [DefaultMaxRetries]; if it is negative, no request is sent again.
	MaxRetries int
	// MaxPaces is how many paces are remembered. Beyond it, those unused for the
	// longest time are forgotten, except paces with a request under way. 0 means
	// [DefaultMaxPaces].
	MaxPaces int
	// Key returns what a request counts against: requests to one host with the same
	// key share a pace. nil means the credentials: the Authorization without its
	// signature; headers and query parameters whose names end in API-Key, API-Token,
	// Access-Key, Access-Token, Auth-Key, Auth-Token, App-Key, Subscription-Key and
	// the like, in any spelling; headers of some APIs with other names, such as
	// Private-Token and X-Vault-Token; and the user in the URL. An API that takes its
	// credential from elsewhere needs a Key: without one, all its requests share a
	// pace, which the event [NoCredential] reports. Only a hash of the key is kept. If
	// Key panics, the credentials count.
	Key func(*http.Request) string
	// Denied, if not nil, reports whether a response denies its request because of a
	// limit, and how long it asks to wait, or 0 if it does not say. It is called for
	// every response, for APIs that deny other than by 429; a response may still be a
	// denial by its status, see the package comment. A request that it reports as
	// denied is taken as not served, and is sent again. It must leave the body as it
	// is, or replace it. If it panics, the status counts.
	Denied func(*http.Response) (wait time.Duration, denied bool)
	// Observe, if not nil, receives events. It must be quick. If it panics, the call
	// continues.
	Observe func(context.Context, Event)
}

// withDefaults returns c with its zero values replaced, or all its faults, joined.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.MaxWait < 0 {
		faults = append(faults, fmt.Errorf("transport: Config.MaxWait %v must not be negative; 0 means %v", c.MaxWait, DefaultMaxWait))
	}
	if c.MaxPaces < 0 {
		faults = append(faults, fmt.Errorf("transport: Config.MaxPaces %d must not be negative; 0 means %d", c.MaxPaces, DefaultMaxPaces))
	}
	c.MaxWait = min(cmp.Or(c.MaxWait, DefaultMaxWait), signals.MaxTime) // so that nothing overflows
	c.MaxRetries = cmp.Or(c.MaxRetries, DefaultMaxRetries)
	c.MaxPaces = cmp.Or(c.MaxPaces, DefaultMaxPaces)
	return c, errors.Join(faults...)
}

// try runs a function of the user. It returns false if the function panics.
func try(f func()) (ok bool) {
	defer func() { _ = recover() }()
	f()
	return true
}
