package mirror_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// unreachable is a shared store that is down.
type unreachable struct{}

func (unreachable) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errors.New("connection refused")
}

func (unreachable) Reset(context.Context, store.Request) error {
	return errors.New("connection refused")
}

// Three nodes share a limit of 6 per hour. While the store that they share is down, each
// grants two.
func Example() {
	backend, err := mirror.New(unreachable{}, mirror.Config{Nodes: 3})
	if err != nil {
		panic(err)
	}
	defer backend.Close()
	limiter, err := ratelimit.New(backend, ratelimit.PerHour(6), ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	for range 3 {
		r, err := limiter.Allow(context.Background(), "key")
		fmt.Println(r.Allowed, r.Remaining(), err)
	}
	// Output:
	// true 1 <nil>
	// true 0 <nil>
	// false 0 <nil>
}
