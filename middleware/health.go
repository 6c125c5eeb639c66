package middleware

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/keyrate/keyrate/middleware/internal/health"
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
		found := health.Check(r.Context(), limiter)
		status := http.StatusOK
		if found.Status != store.StatusOK && found.Status != store.StatusDegraded {
			status = http.StatusServiceUnavailable
		}
		body, err := json.Marshal(found)
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
