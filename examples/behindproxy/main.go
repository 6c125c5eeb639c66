// Command behindproxy limits callers by their address behind a reverse proxy. There, the
// peer of every connection is the proxy, and the caller's address is in X-Forwarded-For. Any
// client can send that header, so the program believes it only of the proxies that it names,
// and reads it from the right: a proxy appends to it.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(2), ratelimit.Config{})
	if err != nil {
		return err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{
		// Your proxies alone: a client at one of these addresses can claim any other address.
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	if err != nil {
		return err
	}
	api := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(limit(api)) // in production an http.Server with timeouts, as in examples/quickstart
	defer server.Close()

	// These calls come from 127.0.0.1, as if a proxy there had passed them on.
	for _, forwarded := range []string{
		"203.0.113.9",
		"203.0.113.9",
		"203.0.113.9",             // denied
		"198.51.100.1",            // another caller
		"192.0.2.77, 203.0.113.9", // the first caller, which forges an address: denied
		"2001:db8:0:1::1",         // IPv6 callers are limited by their /64
		"2001:db8:0:1:ffff::abcd",
		"2001:db8:0:1:1234::5678", // denied
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		r.Header.Set("X-Forwarded-For", forwarded)
		answer, err := server.Client().Do(r)
		if err != nil {
			return err
		}
		answer.Body.Close()
		fmt.Fprintf(out, "%-25s %s\n", forwarded, answer.Status)
	}
	return nil
}
