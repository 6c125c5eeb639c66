package http

import (
	"os"
	"testing"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
)

func TestMain(m *testing.M) { os.Exit(child.Main(Suite.Workers, m.Run)) }
