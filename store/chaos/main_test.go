package chaos_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestMain(m *testing.M) {
	// The client writes a line for every connection that fails, and here they fail by
	// the thousand.
	redis.SetLogger(silence{})
	code := m.Run()
	printTable(os.Stdout)
	os.Exit(code)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
