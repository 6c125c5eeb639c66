// Command policy holds a key to two limits at once: bursts are limited by the second, the
// total by the hour. Either both limits admit a call, or neither is charged: a call that one
// limit denies does not count against the other.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	policy, err := ratelimit.NewPolicy(
		// In production rather 10 and 1000: with so few, both limits deny calls here.
		ratelimit.PerSecond(3).Named("per-second"),
		ratelimit.PerHour(5).Named("per-hour"),
	)
	if err != nil {
		return err
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), policy, ratelimit.Config{})
	if err != nil {
		return err
	}
	for {
		r, err := limiter.Allow(ctx, "alice")
		if err != nil {
			return err
		}
		if r.Allowed {
			fmt.Fprintf(out, "allowed, %d left of %s, the tighter limit\n", r.Remaining(), r.Limit().Name)
			continue
		}
		fmt.Fprintf(out, "denied by %s, retry after %v\n", r.Limit().Name, r.RetryAfter().Round(time.Millisecond))
		for i := range r.Len() { // the limit that decides comes first
			state := r.State(i)
			fmt.Fprintf(out, "    %-10s  %d left, violated: %t\n", state.Limit.Name, state.Remaining, state.Violated)
		}
		if r.RetryAfter() > time.Second {
			return nil
		}
		time.Sleep(r.RetryAfter())
	}
}
