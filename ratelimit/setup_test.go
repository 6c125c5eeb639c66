package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func newLimiter(t testing.TB, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	return newLimiterOn(t, memstore.New(memstore.Config{}), limits, c)
}

func newLimiterOn(t testing.TB, s store.Store, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(s, limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func policyOf(t testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(t testing.TB, l *ratelimit.Limiter, key string, n int) ratelimit.Result {
	t.Helper()
	r, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func peek(t testing.TB, l *ratelimit.Limiter, key string) ratelimit.Result {
	t.Helper()
	r, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// remaining returns how many tokens the key "k" has.
func remaining(t testing.TB, l *ratelimit.Limiter) int {
	t.Helper()
	r := peek(t, l, "k")
	return r.Remaining()
}

// admitted returns how many of n calls of cost 1 are admitted now.
func admitted(t testing.TB, l *ratelimit.Limiter, key string, n int) int {
	t.Helper()
	admitted := 0
	for range n {
		if allow(t, l, key, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

// A faultyStore is a memstore whose methods a test can replace.
type faultyStore struct {
	store.Store
	take  func(context.Context, store.Request) (store.Decision, error)
	reset func(context.Context, store.Request) error
	takes int // counted, for tests on one goroutine
}

func newFaultyStore() *faultyStore {
	s := memstore.New(memstore.Config{})
	return &faultyStore{Store: s, take: s.Take, reset: s.Reset}
}

func (s *faultyStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.takes++
	return s.take(ctx, r)
}

func (s *faultyStore) Reset(ctx context.Context, r store.Request) error {
	return s.reset(ctx, r)
}

// hang waits for its context to end, as a store behind a dead network does.
func hang(ctx context.Context, _ store.Request) (store.Decision, error) {
	<-ctx.Done()
	return store.Decision{}, ctx.Err()
}

// A selfTimedStore needs no deadline.
type selfTimedStore struct{ *faultyStore }

func (selfTimedStore) SelfTimed() {}

func debt(d time.Duration) gcra.Debt {
	return gcra.Debt{Micros: int64(d / time.Microsecond)}
}
