package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestSource: a result says what the store founded its decision on, and a store that
// says nothing decides itself.
func TestSource(t *testing.T) {
	for source, word := range map[ratelimit.Source]string{
		ratelimit.FromStore: "store", ratelimit.FromKnowledge: "knowledge", ratelimit.FromShare: "share", 99: "none",
	} {
		s := newFaultyStore()
		inner := s.take
		s.take = func(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
			d, err := inner(ctx, r)
			d.Source = source
			return d, err
		}
		var observed ratelimit.Source
		limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{
			Observe: func(_ context.Context, e ratelimit.Event) { observed = e.Result.Source },
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := limiter.Allow(t.Context(), "key")
		if err != nil || r.Source != source || observed != source || r.Source.String() != word {
			t.Errorf("the source is %v, observed as %v, %v; want %s", r.Source, observed, err, word)
		}
	}
}

// TestFaultTellsWhetherItWasCharged, and how the store wants it to fail.
func TestFaultTellsWhetherItWasCharged(t *testing.T) {
	s := newFaultyStore()
	s.take = func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
		return ratelimit.Decision{}, &ratelimit.StoreError{Class: "connect", NotCharged: true, Fail: ratelimit.FailClosed}
	}
	limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := limiter.Allow(t.Context(), "key")
	if r.Source != ratelimit.NoSource || r.Source.String() != "none" {
		t.Errorf("the source of no decision is %v", r.Source)
	}
	failed, ok := errors.AsType[*ratelimit.StoreError](err)
	if !ok || !failed.NotCharged || failed.Fail != ratelimit.FailClosed {
		t.Errorf("the error is %#v", err)
	}
	for _, c := range []struct {
		err          error
		caller, want bool
	}{
		{err, false, true},
		{errors.New("another"), true, true},
		{errors.New("another"), false, false},
		{&ratelimit.StoreError{Fail: ratelimit.FailOpen}, true, false},
		{(*ratelimit.StoreError)(nil), true, true},
	} {
		if got := ratelimit.FailsClosed(c.err, c.caller); got != c.want {
			t.Errorf("of a caller who fails closed: %v, the call is refused: %v; want %v", c.caller, got, c.want)
		}
	}
}

// TestLastProof: Check tells when a part decided last, also when it does not now.
func TestLastProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFaultyStore()
		limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		proved := time.Now()
		limiter.Check(t.Context())
		time.Sleep(time.Hour)
		s.take = func(context.Context, ratelimit.Request) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, errDown
		}
		if h := limiter.Check(t.Context()); h.Status != ratelimit.StatusFailed || !h.Parts[0].Proved.Equal(proved) {
			t.Errorf("an hour later Check says %+v; want failed, and proved at %v", h, proved)
		}
	})
}
