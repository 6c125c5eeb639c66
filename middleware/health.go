package middleware

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// Health returns a handler for health checks of limiter. For each GET or HEAD request it
// makes real decisions with [ratelimit.Limiter.Check] and responds in JSON: 200 if all is
// well or "degraded", so that a load balancer keeps a node that still decides, and 503 if
// no decisions are possible. Each request costs the store a few decisions, so do not
// serve it to strangers.
//
//	{"status":"ok","decides":"store","parts":[{"name":"store","ok":true,"proved":"2026-01-02T15:04:05Z"}]}
//
// Names and classes come from the stores; a part of a Redis Cluster has the address of its
// server. The body contains no key and no error text. The health of a nil or zero Limiter
// is "failed".
func Health(limiter *ratelimit.Limiter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		found := check(r.Context(), limiter)
		status := http.StatusOK
		if found.Status != store.StatusOK && found.Status != store.StatusDegraded {
			status = http.StatusServiceUnavailable
		}
		body, err := json.Marshal(report(found))
		if err != nil { // a year with five digits
			status, body = http.StatusServiceUnavailable, []byte(`{"status":"failed"}`)
		}
		body = append(body, '\n')
		h.Set("Content-Type", "application/json")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // a client that hung up needs no answer
		}
	})
}

// check is limiter.Check, but a store that panics has failed.
func check(ctx context.Context, limiter *ratelimit.Limiter) (h store.Health) {
	if store.Try(func() { h = limiter.Check(ctx) }) != nil {
		return store.Health{Status: store.StatusFailed, Parts: []store.PartHealth{{Name: "store", Class: store.ClassPanic}}}
	}
	return h
}

type healthReport struct {
	Status   store.Status `json:"status"`
	Decides  string       `json:"decides,omitempty"`
	Parts    []partReport `json:"parts"`
	Warnings []string     `json:"warnings,omitempty"`
}

type partReport struct {
	Name   string    `json:"name"`
	OK     bool      `json:"ok"`
	Class  string    `json:"class,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Proved time.Time `json:"proved,omitzero"`
}

func report(h store.Health) healthReport {
	r := healthReport{Status: h.Status, Decides: h.Decides, Parts: []partReport{}, Warnings: h.Warnings}
	for _, p := range h.Parts {
		r.Parts = append(r.Parts, partReport{p.Name, p.OK, p.Class, p.Since.UTC(), p.Proved.UTC()})
	}
	return r
}
