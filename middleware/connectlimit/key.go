package connectlimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// A Key finds whose bucket a call takes from. The zero Key is the address of the client. A
// fault in how a Key was made is an error of [New].
type Key struct{ key rpc.Key }

// Header returns a Key that takes the key from a request header, such as "X-API-Key". Calls with
// that header twice get connect.CodeInvalidArgument.
func Header(name string) Key {
	if !rpc.IsHeader(name) {
		return Key{rpc.Key{Fault: fmt.Errorf("Header(%q) must be given the name of a header, such as %q", name, "X-API-Key")}}
	}
	name = http.CanonicalHeaderKey(name)
	return Key{rpc.FromValue(func(c *rpc.Call) []string { return values(c, name) })}
}

// values returns those of a request header. name is in canonical form.
func values(c *rpc.Call, name string) []string {
	header, _ := c.Source.(http.Header)
	return header[name]
}

// Bearer returns a Key that takes the token from an Authorization header, exactly in the form that
// [middleware.Bearer] describes; any other value is no key. Calls with two of them get
// connect.CodeInvalidArgument.
func Bearer() Key {
	return Key{rpc.Bearer(func(c *rpc.Call) []string { return values(c, "Authorization") })}
}

// First returns a Key that takes the first key that one of keys finds, or the first error: see
// [middleware.First].
func First(keys ...Key) Key {
	all := make([]rpc.Key, len(keys))
	for i, key := range keys {
		all[i] = key.key
	}
	return Key{rpc.First(all, `First(Header("X-API-Key"), Bearer())`)}
}

// KeyFunc returns a Key that calls f with the context of each call, concurrently. f returns the
// key, or "" if the call has none. The safest key is the identity that authentication in front
// has verified and put into the context.
//
// For a call with several keys, f returns [middleware.ErrAmbiguous]. Any other error is a fault
// of class [middleware.FaultKey], whose text is never shown, and the call is treated as one
// without a key.
func KeyFunc(f func(context.Context) (string, error)) Key {
	if f == nil {
		return Key{rpc.Key{Fault: errors.New("KeyFunc: f must not be nil; for the client's address, use the zero Key")}}
	}
	return Key{rpc.FromContext(f)}
}
