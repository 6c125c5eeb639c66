package main

import (
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// newProxy returns a load balancer: each call goes to the next host or, if that does not answer,
// to the one after it.
func newProxy(transport http.RoundTripper, hosts []string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: hosts[0]}) },
		Transport: &roundRobin{transport: transport, hosts: hosts},
	}
}

type roundRobin struct {
	transport http.RoundTripper
	hosts     []string
	turn      atomic.Uint64
}

// RoundTrip implements [http.RoundTripper] for calls without a body.
func (b *roundRobin) RoundTrip(r *http.Request) (*http.Response, error) {
	var all error
	for range b.hosts {
		next := r.Clone(r.Context())
		next.URL.Host = b.hosts[b.turn.Add(1)%uint64(len(b.hosts))]
		response, err := b.transport.RoundTrip(next)
		if err == nil || r.Context().Err() != nil {
			return response, err
		}
		all = errors.Join(all, err)
	}
	return nil, all
}
