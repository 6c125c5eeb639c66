package redis

import (
	"errors"
	"os"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

// Require starts a Redis until the test ends. Without redis-server the test is
// skipped, or fails if KEYRATE_REQUIRE_REDIS=1.
func Require(tb testing.TB) *Server {
	tb.Helper()
	server, err := Start(tb.Context())
	if errors.Is(err, errNoRedis) {
		testkit.Need(tb, "KEYRATE_REQUIRE_REDIS", "redis-server", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
		if _, err := os.Stat(server.folder); err == nil {
			tb.Error("the folder of redis-server is left behind")
		}
	})
	return server
}
