package outage

import (
	"os"
	"testing"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
)

// TestMain lets the test's binary be a child, as the program can be.
func TestMain(m *testing.M) {
	if code, ok := child.Serve(Suite.Workers); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
