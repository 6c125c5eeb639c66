package grpclimit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// A Key finds whose bucket a call takes from. The zero Key is the address of the client. A
// fault in how a Key was made is an error of [New].
type Key struct{ key rpc.Key }

// Metadata returns a Key that takes the key from the metadata of the call, such as
// "x-api-key". Calls with several values under that name get codes.InvalidArgument.
func Metadata(name string) Key {
	name = strings.ToLower(name)
	if !isName(name) {
		return Key{rpc.Key{Fault: fmt.Errorf("Metadata(%q) must be given a name in metadata, such as %q", name, "x-api-key")}}
	}
	return Key{rpc.FromValue(func(c *rpc.Call) []string { return metadata.ValueFromIncomingContext(c.Context, name) })}
}

// isName reports whether metadata of a call may have the name s, in lower case.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("-_.", c) < 0 {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "grpc-")
}

// Bearer returns a Key that takes the token from the metadata authorization, exactly in the form that
// [middleware.Bearer] describes; any other value is no key. Calls with two of them get
// codes.InvalidArgument.
func Bearer() Key {
	return Key{rpc.Bearer(func(c *rpc.Call) []string { return metadata.ValueFromIncomingContext(c.Context, "authorization") })}
}

// First returns a Key that takes the first key that one of keys finds, or the first error: see
// [middleware.First].
func First(keys ...Key) Key {
	all := make([]rpc.Key, len(keys))
	for i, key := range keys {
		all[i] = key.key
	}
	return Key{rpc.First(all, `First(Metadata("x-api-key"), Bearer())`)}
}

// KeyFunc returns a Key that calls f with the context of each call, concurrently. f returns the
// key, or "" if the call has none. The safest key is the identity that an interceptor in front
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
