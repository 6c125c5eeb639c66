package chaos_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	// The client logs a line for each connection that fails; here thousands do.
	redis.SetLogger(silence{})
	code := m.Run()
	printTable(os.Stdout)
	os.Exit(code)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
