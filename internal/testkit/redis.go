package testkit

import (
	"os/exec"
	"testing"
)

// Redis skips a test unless the long tests run and there is a redis-server. If the environment
// variable KEYRATE_REQUIRE_REDIS is 1, Redis fails the test that has none.
func Redis(tb testing.TB) {
	tb.Helper()
	Long(tb, "needs redis-server, and real time")
	_, err := exec.LookPath("redis-server")
	Need(tb, "KEYRATE_REQUIRE_REDIS", "redis-server (Debian: apt-get install redis-server)", err)
}
