package transport

import (
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"net/http"
	"reflect"

	"github.com/keyrate/keyrate/middleware/internal/pace"
)

// A Transport is an http.RoundTripper that keeps to the limits of the APIs that it
// calls, see the package comment. It is safe for concurrent use and meant to be shared:
// Transports do not share what they learn. [New] returns one; the zero value is not
// usable.
type Transport struct {
	base      http.RoundTripper
	config    Config
	paces     pace.Cache
	seed      []byte       // of the hashes of credentials
	routeSeed maphash.Seed // of the hashes of paths
}

// New returns a Transport that sends requests with base. A nil base means the current
// value of [http.DefaultTransport]. The error joins all faults of c. New starts nothing
// and does no I/O.
func New(base http.RoundTripper, c Config) (*Transport, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = http.DefaultTransport
	} else if v := reflect.ValueOf(base); (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() {
		return nil, fmt.Errorf("transport: base is a nil %T; to use http.DefaultTransport, pass nil itself", base)
	}
	return &Transport{
		base:      base,
		config:    c,
		paces:     pace.Cache{MaxPaces: c.MaxPaces, MaxWait: c.MaxWait},
		seed:      []byte(rand.Text()),
		routeSeed: maphash.MakeSeed(),
	}, nil
}

// RoundTrip sends r when the pace allows it, and again after a denial if it can. It
// returns the last response, which may be a denial; the error of base; or, if r was not
// sent, a [*WaitError], the error of its context, or the error of its GetBody. It does
// not change r, and always closes its body.
func (t *Transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if r.URL == nil {
		return t.base.RoundTrip(r) // which returns the fault
	}
	key, found := t.keyOf(r)
	p := t.paces.Acquire(key)
	defer t.paces.Release(p)
	c := call{
		Transport: t,
		pace:      p,
		ticket:    p.Ticket(t.routeOf(r)),
		sender:    sender{request: r},
		unnamed:   !found,
		left:      t.config.MaxWait,
	}
	defer func() { c.end(response) }() // also if base panics
	return c.run(r.Context())
}

// Format writes the type, whatever the verb: the fields would show the hashes of
// credentials, and the seed with which they can be guessed.
func (t *Transport) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*transport.Transport")) }

// CloseIdleConnections closes the idle connections of base, if it has such a method.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}
