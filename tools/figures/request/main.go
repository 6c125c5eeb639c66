// Command request is measured by tools/figures: it sends identical requests through the
// middleware and writes which statements the last one executed.
//
//	request memory DIR    decides in memory
//	request redis DIR     decides on a Redis in this program, with a mirror in front of it
//	request down DIR      decides alone, after the Redis behind the mirror went down
//
// It must be built with -cover and -covermode=atomic.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/coverage"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "request:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("arguments %q: want memory, redis or down, and a folder", args)
	}
	var backend store.Store = memstore.New(memstore.Config{})
	stop := func() {}
	if args[0] != "memory" {
		server, err := miniredis.Run()
		if err != nil {
			return err
		}
		defer server.Close()
		stop = server.Close
		client, err := redisstore.NewClient("redis://" + server.Addr())
		if err != nil {
			return err
		}
		shared, err := redisstore.New(client, redisstore.Config{})
		if err != nil {
			return err
		}
		if backend, err = mirror.New(shared, mirror.Config{}); err != nil {
			return err
		}
	}
	limiter, err := ratelimit.New(backend, ratelimit.PerSecond(10), ratelimit.Config{})
	if err != nil {
		return err
	}
	handler := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")}))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	request := func() error {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("X-API-Key", "alice")
		answer := httptest.NewRecorder()
		if handler.ServeHTTP(answer, r); answer.Code != http.StatusOK {
			return fmt.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		return nil
	}
	if err := request(); err != nil {
		return err
	}
	if args[0] == "down" {
		stop()
		for range 4 { // after three failures Redis is down
			if err := request(); err != nil {
				return err
			}
		}
	}
	if err := coverage.ClearCounters(); err != nil {
		return err
	}
	if err := request(); err != nil {
		return err
	}
	if err := coverage.WriteMetaDir(args[1]); err != nil {
		return err
	}
	return coverage.WriteCountersDir(args[1])
}
