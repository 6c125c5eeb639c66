package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/keyrate/keyrate/ratelimit"
)

// printTo returns an observer that prints each decision. It is not told the key,
// so that it cannot give it away; who called, labelled has put into the context.
func printTo(decisions *log.Logger) func(context.Context, ratelimit.Event) {
	return func(ctx context.Context, e ratelimit.Event) {
		r, who := e.Result, ctx.Value(labelKey{})
		switch {
		case e.Err != nil:
			decisions.Printf("%s  undecided: %s", who, ratelimit.ErrorClass(e.Err))
		case r.Allowed:
			decisions.Printf("%s  allowed  %d of %d left", who, r.Remaining, r.Limit.Burst)
		default:
			decisions.Printf("%s  refused  %d of %d left, retry after %v", who, r.Remaining, r.Limit.Burst, r.RetryAfter)
		}
	}
}

type labelKey struct{}

// labelled puts the label of the caller into the context of each request.
func labelled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), labelKey{}, label(r))))
	})
}

// labelSecret is new in each run: the plain hash of a key that can be guessed tells
// which key it is.
var labelSecret = []byte(rand.Text())

// label tells callers apart in a log without showing an API key. A program that
// knows its customers would print the customer's number instead.
func label(r *http.Request) string {
	key := r.Header.Get(keyHeader)
	if key == "" {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return "no key, from " + host
	}
	mac := hmac.New(sha256.New, labelSecret)
	mac.Write([]byte(key))
	return fmt.Sprintf("key %x", mac.Sum(nil)[:4])
}
