//go:build unix

package process

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestRedisLeavesNothing: a redis-server comes back empty, and ends with the demo, even one that
// stands still.
func TestRedisLeavesNothing(t *testing.T) {
	testkit.Redis(t)
	r, err := StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: r.Address, MaxRetries: -1})
	defer client.Close()
	if err := client.Set(t.Context(), "k", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.End()
	if err := r.Again(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := redis.NewClient(&redis.Options{Addr: r.Address, MaxRetries: -1})
	defer again.Close()
	if n, err := again.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d keys, %v", n, err)
	}
	if err := r.Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if again.Ping(ctx).Err() == nil {
		t.Error("a Redis that stands still has answered")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if again.Ping(t.Context()).Err() == nil {
		t.Error("a Redis that is gone has answered")
	}
	if _, err := os.Stat(r.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
}

// TestStandIn: it comes back empty at its address.
func TestStandIn(t *testing.T) {
	d, err := StartDatabase(t.Context(), true, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	url := d.URL()
	d.stand.Set("k", "v") //nolint:errcheck // it is there
	d.End()
	if err := d.Again(t.Context()); err != nil || d.URL() != url || d.stand.Exists("k") {
		t.Errorf("%v, %s", err, d.URL())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
