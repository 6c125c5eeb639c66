package chaos

import (
	"os"
	"os/exec"
	"testing"
)

// Require returns the path of redis-server. Without one it skips the test or, with
// KEYRATE_REQUIRE_REDIS=1, fails it.
func Require(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
	case os.Getenv("KEYRATE_REQUIRE_REDIS") == "1":
		tb.Fatalf("KEYRATE_REQUIRE_REDIS=1, but there is no redis-server on PATH: %v; install it, such as Debian's package redis-server", err)
	default:
		tb.Skip("no redis-server on PATH; install it, such as Debian's package redis-server (KEYRATE_REQUIRE_REDIS=1 makes this a failure)")
	}
	return path
}
