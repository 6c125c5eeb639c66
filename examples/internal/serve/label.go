package serve

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
)

type labelKey struct{}

// Labelled puts a label of the caller, by the key in a header, into the context of each
// request.
func Labelled(header string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), labelKey{}, label(r, header))))
	})
}

// Label returns the label that [Labelled] put into a context.
func Label(ctx context.Context) string {
	text, _ := ctx.Value(labelKey{}).(string)
	return text
}

// labelSecret is new in each run: the plain hash of a key that can be guessed shows which
// key it is.
var labelSecret = []byte(rand.Text())

// label returns a text that identifies a caller in a log without showing an API key. A
// program that knows its customers would print the customer's number instead.
func label(r *http.Request, header string) string {
	key := r.Header.Get(header)
	if key == "" {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return "no key, from " + host
	}
	mac := hmac.New(sha256.New, labelSecret)
	mac.Write([]byte(key))
	return fmt.Sprintf("key %x", mac.Sum(nil)[:4])
}
