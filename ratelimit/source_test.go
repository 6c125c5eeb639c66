package ratelimit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestSource: a result says what the store founded its decision on, and a store that
// says nothing decides itself.
func TestSource(t *testing.T) {
	for source, word := range map[store.Source]string{
		store.FromStore: "store", store.FromKnowledge: "knowledge", store.FromShare: "share", store.FromLease: "lease", 99: "none",
	} {
		s := newFaultyStore()
		inner := s.take
		s.take = func(ctx context.Context, r store.Request) (store.Decision, error) {
			d, err := inner(ctx, r)
			d.Source = source
			return d, err
		}
		var observed store.Source
		limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{
			Observe: func(_ context.Context, e ratelimit.Event) { observed = e.Result.Source() },
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := limiter.Allow(t.Context(), "key")
		if err != nil || r.Source() != source || observed != source || r.Source().String() != word {
			t.Errorf("the source is %v, observed as %v, %v; want %s", r.Source(), observed, err, word)
		}
	}
}

// TestFaultReportsWhetherItWasCharged: a limiter passes on what the store knows of that.
func TestFaultReportsWhetherItWasCharged(t *testing.T) {
	s := newFaultyStore()
	s.take = func(context.Context, store.Request) (store.Decision, error) {
		return store.Decision{}, &store.Error{Class: "connect", NotCharged: true}
	}
	limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := limiter.Allow(t.Context(), "key")
	if r.Source() != store.NoSource || r.Source().String() != "none" {
		t.Errorf("the source of no decision is %v", r.Source())
	}
	failed, ok := errors.AsType[*store.Error](err)
	if !ok || !failed.NotCharged {
		t.Errorf("the error is %#v", err)
	}
}
