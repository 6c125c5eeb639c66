package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// What the zero values in a Config stand for.
const (
	DefaultMaxWait    = time.Minute
	DefaultMaxRetries = 5
	DefaultMaxPaces   = 1024
)

// Config is what [New] can be told. Its zero value is ready for use.
//
// The functions in it are called concurrently, on the goroutine of the request.
type Config struct {
	// MaxWait is the longest time that one request waits, in the queue and after
	// refusals together. It does not limit how long responses take. 0 means
	// [DefaultMaxWait]. The waits also count against a [http.Client.Timeout], as
	// against any deadline: with a shorter one it is that which no request waits past.
	MaxWait time.Duration
	// MaxRetries is how often a request is sent again after a refusal. 0 means
	// [DefaultMaxRetries]; with less than 0 it is never sent again.
	MaxRetries int
	// MaxPaces is how many paces are remembered. Beyond it those that were not used
	// for the longest time are forgotten, but none with a request under way. 0 means
	// [DefaultMaxPaces].
	MaxPaces int
	// Key returns whose limit a request counts against: requests to one host with the
	// same key share a pace. nil means the credentials: the Authorization, of which the
	// signature does not count; headers and parameters of the query whose names end in
	// API-Key, API-Token, Access-Key, Access-Token, Auth-Key, Auth-Token, App-Key,
	// Subscription-Key and the like, in any spelling; headers of some APIs that have
	// other names, such as Private-Token and X-Vault-Token; and the user in the URL. An
	// API that takes its key from elsewhere needs a Key that says so: without it all its
	// requests share a pace, which the event [NoCredential] reports. Only a hash of what
	// Key returns is kept. If it panics, the credentials count.
	Key func(*http.Request) string
	// Denied, if not nil, reports whether a response denies its request because of a limit,
	// and how long that asks to wait, 0 if it does not say. It is asked about every
	// response, for APIs that deny otherwise than by 429: what it does not call a denial
	// is still one by its status, see the package comment. A request that it calls denied
	// is taken for not served, and sent again. It must leave the body as it is, or put
	// another one in its place. If it panics, the status counts.
	Denied func(*http.Response) (wait time.Duration, denied bool)
	// Observe, if not nil, is told what was done. It must be quick. If it panics, the
	// call goes on as if it had not.
	Observe func(context.Context, Event)
}

// withDefaults returns c with what its zero values stand for, or all its faults,
// joined.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	if c.MaxWait < 0 {
		faults = append(faults, fmt.Errorf("transport: Config.MaxWait %v must not be negative; 0 means %v", c.MaxWait, DefaultMaxWait))
	}
	if c.MaxPaces < 0 {
		faults = append(faults, fmt.Errorf("transport: Config.MaxPaces %d must not be negative; 0 means %d", c.MaxPaces, DefaultMaxPaces))
	}
	if c.MaxWait == 0 {
		c.MaxWait = DefaultMaxWait
	}
	c.MaxWait = min(c.MaxWait, signals.MaxTime) // so that nothing overflows
	switch {
	case c.MaxRetries == 0:
		c.MaxRetries = DefaultMaxRetries
	case c.MaxRetries < 0:
		c.MaxRetries = 0
	}
	if c.MaxPaces == 0 {
		c.MaxPaces = DefaultMaxPaces
	}
	return c, errors.Join(faults...)
}

// denial reads a response: by its status, and by Denied.
func (c Config) denial(response *http.Response, l signals.Limits) signals.Denial {
	d := signals.DenialOf(response, l)
	if wait, denied := c.asksDenied(response); denied {
		d.Denied, d.Limited = true, true
		if wait > 0 {
			d.Wait = min(wait, signals.MaxTime)
		}
	}
	return d
}

// asksDenied is what Config.Denied says, nothing if it is nil or panics.
func (c Config) asksDenied(response *http.Response) (wait time.Duration, denied bool) {
	if c.Denied == nil {
		return 0, false
	}
	defer func() {
		if recover() != nil {
			wait, denied = 0, false
		}
	}()
	return c.Denied(response)
}
