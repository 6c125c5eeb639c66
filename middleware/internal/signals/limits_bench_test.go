package signals_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// BenchmarkParse measures the cost of a response. Most report no limit; that cost
// applies to all calls.
func BenchmarkParse(b *testing.B) {
	plain := []string{
		"Date: " + noon, "Content-Type: application/json", "Content-Length: 123", "Server: nginx", "Etag: W/abc", "Vary: Accept", "Cache-Control: no-store",
		"Strict-Transport-Security: max-age=31536000", "X-Content-Type-Options: nosniff", "X-Request-Id: 1", "Set-Cookie: a=b", "Via: 1.1 proxy",
	}
	with := func(lines ...string) http.Header { return headers(append(lines, plain...)...) }
	for name, h := range map[string]http.Header{
		"none":      with(),
		"GitHub":    with("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4956", "X-RateLimit-Reset: 1767617681", "X-RateLimit-Used: 44", "X-RateLimit-Resource: core"),
		"IETF":      with(`RateLimit-Policy: "default";q=5;w=1, "daily";q=1000;w=86400`, `RateLimit: "default";r=0;t=1, "daily";r=880;t=10368`, "Retry-After: 1"),
		"Anthropic": with("anthropic-ratelimit-requests-limit: 50", "anthropic-ratelimit-requests-remaining: 49", "anthropic-ratelimit-requests-reset: 2026-01-05T12:00:01Z"),
		"commas":    with("RateLimit: " + strings.Repeat(",", 1<<20)),
		"quotes":    with("X-RateLimit-Limit: " + strings.Repeat(`"`, 1<<20)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				signals.Parse(h, time.Now())
			}
		})
	}
}
