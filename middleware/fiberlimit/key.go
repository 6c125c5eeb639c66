package fiberlimit

import (
	"bytes"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// A Key finds whose bucket a request takes from. The zero Key is the client's address. [Header],
// [Bearer], [ClientIP] and [First] return others, and [KeyFunc] one of your own.
//
// A key of this package and the one of package middleware with the same name find the same key in
// the same request: see there. A fault in how a Key was made is an error of [New].
type Key struct {
	find func(fiber.Ctx, *address.Proxies) (string, error) // nil: the client's address
	like middleware.Key                                    // has the same faults
}

func (k Key) of(c fiber.Ctx, trusted *address.Proxies) (string, error) {
	if k.find == nil {
		return addressOf(c, trusted)
	}
	return k.find(c, trusted)
}

// KeyFunc returns a Key that calls f for each request, concurrently. f returns the key, or "" if the
// request has none, as that of [middleware.KeyFunc] does; for a request with several keys it
// returns [middleware.ErrAmbiguous]. The key is copied, so f may return a string of fiber, which
// changes after the call.
func KeyFunc(f func(fiber.Ctx) (string, error)) Key {
	if f == nil {
		return Key{like: middleware.KeyFunc(nil)}
	}
	return Key{
		find: func(c fiber.Ctx, _ *address.Proxies) (string, error) {
			key, err := f(c)
			return strings.Clone(gate.Key(key)), err
		},
		like: middleware.KeyFunc(func(*http.Request) (string, error) { return "", nil }),
	}
}

// Header returns a Key that takes the key from a header, such as "X-API-Key": see
// [middleware.Header].
func Header(name string) Key {
	return Key{
		find: func(c fiber.Ctx, _ *address.Proxies) (string, error) {
			value, err := oneValue(c, name)
			return gate.Key(string(value)), err // string copies
		},
		like: middleware.Header(name),
	}
}

// Bearer returns a Key that takes the token from an Authorization header: see
// [middleware.Bearer].
func Bearer() Key {
	return Key{
		find: func(c fiber.Ctx, _ *address.Proxies) (string, error) {
			value, err := oneValue(c, fiber.HeaderAuthorization)
			return gate.Key(gate.BearerToken(string(value))), err
		},
		like: middleware.Bearer(),
	}
}

// ClientIP returns a Key that is the client's address: see [middleware.ClientIP].
func ClientIP(trusted ...netip.Prefix) Key {
	if len(trusted) == 0 {
		return Key{}
	}
	own := address.NewProxies(trusted, false, "")
	return Key{
		find: func(c fiber.Ctx, _ *address.Proxies) (string, error) { return addressOf(c, &own) },
		like: middleware.ClientIP(trusted...),
	}
}

// First returns a Key that takes the first key that one of keys finds, or the first error: see
// [middleware.First].
func First(keys ...Key) Key {
	keys = slices.Clone(keys)
	like := make([]middleware.Key, len(keys))
	for i, k := range keys {
		like[i] = k.like
	}
	return Key{
		find: func(c fiber.Ctx, trusted *address.Proxies) (string, error) {
			for _, k := range keys {
				if key, err := k.of(c, trusted); key != "" || err != nil {
					return key, err
				}
			}
			return "", nil
		},
		like: middleware.First(like...),
	}
}

// oneValue returns the value of a header, which changes after the call, and nil without it.
func oneValue(c fiber.Ctx, name string) ([]byte, error) {
	switch values := valuesOf(c, name); len(values) {
	case 0:
		return nil, nil
	case 1:
		return values[0], nil
	default:
		return nil, middleware.ErrAmbiguous
	}
}

// valuesOf returns the values of a header, which change after the call.
func valuesOf(c fiber.Ctx, name string) [][]byte {
	h := &c.Request().Header
	if !c.App().Server().DisableHeaderNamesNormalizing {
		return h.PeekAll(name)
	}
	var values [][]byte // names are as the client spells them
	for key, value := range h.All() {
		if bytes.EqualFold(key, []byte(name)) {
			values = append(values, value)
		}
	}
	return values
}

// addressOf returns the key of the client's address, or gate.ErrAddresses.
func addressOf(c fiber.Ctx, trusted *address.Proxies) (string, error) {
	peer, unix := peerOf(c.RequestCtx().RemoteAddr())
	client, ok := trusted.ClientOf(peer, unix, func(name string) []string {
		values := valuesOf(c, name)
		lines := make([]string, len(values))
		for i, v := range values {
			lines[i] = string(v)
		}
		return lines
	})
	if !ok {
		return "", gate.ErrAddresses
	}
	return address.Key(client), nil
}

// peerOf returns the address of a peer, or the zero Addr and whether that is on a Unix socket.
func peerOf(a net.Addr) (peer netip.Addr, unix bool) {
	switch a := a.(type) {
	case *net.TCPAddr:
		peer, _ = netip.AddrFromSlice(a.IP)
		return peer, false
	case *net.UnixAddr:
		return peer, true
	}
	if a, err := netip.ParseAddrPort(a.String()); err == nil {
		return a.Addr(), false
	}
	return peer, false
}

// connection returns a string that is the same for requests on one connection.
func connection(c fiber.Ctx) string { return address.Connection(c.RequestCtx().RemoteAddr()) }
