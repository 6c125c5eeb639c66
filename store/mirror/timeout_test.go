package mirror_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// heedful gives up with its context, on its way.
type heedful struct{ *faulty }

func (h heedful) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	d, err := h.faulty.Take(ctx, r)
	if ctx.Err() != nil {
		return ratelimit.Decision{}, ctx.Err()
	}
	return d, err
}

// TestShortTimeoutsKeepNobodyElseOut: callers who wait less than the store takes find
// it away; when one comes who waits longer, it is back.
func TestShortTimeoutsKeepNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 2 * time.Millisecond }
		s := newMirror(t, plain{heedful{shared}}, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(100))
		hasty := func() {
			_, _ = s.Take(t.Context(), ratelimit.Request{Key: strconv.Itoa(rand.Int()), Policy: p, Cost: 1, Timeout: 2 * time.Millisecond})
		}
		for range 3 {
			hasty()
		}
		if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
			t.Errorf("%q decides; want %q", h.Decides, mirror.PartLocal)
		}
		take(t, s, "key", p, 1)
		time.Sleep(time.Second)
		// Now the hasty ones are among others, and tell nothing.
		for range 100 {
			hasty()
			if d := take(t, s, strconv.Itoa(rand.Int()), p, 1); d.Source != ratelimit.FromStore {
				t.Fatalf("decided by the %v; want the store", d.Source)
			}
		}
	})
}

// TestHurriedCallersFindAHungStore: each has less than half of the Timeout, and together
// they have heard nothing for longer than that.
func TestHurriedCallersFindAHungStore(t *testing.T) {
	for name, limit := range map[string]func(ctx context.Context, s *mirror.Store, p *ratelimit.Policy) func(){
		"deadline": func(ctx context.Context, s *mirror.Store, p *ratelimit.Policy) func() {
			return func() {
				ctx, cancel := context.WithTimeout(ctx, 24*time.Millisecond)
				defer cancel()
				_, _ = s.Take(ctx, ratelimit.Request{Key: "key", Policy: p, Cost: 1, Timeout: 50 * time.Millisecond})
			}
		},
		"look-up": func(ctx context.Context, s *mirror.Store, p *ratelimit.Policy) func() {
			l, err := ratelimit.New(s, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
				time.Sleep(26 * time.Millisecond)
				return p, nil
			}), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return func() { _, _ = l.Allow(ctx, "key") }
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s := newMirror(t, shared, mirror.Config{})
			call := limit(t.Context(), s, policy(t, ratelimit.PerSecond(1000)))
			shared.hangs.Store(true)
			slow, took := 0, make([]time.Duration, 200)
			for i := range took {
				before := time.Now()
				call()
				took[i] = time.Since(before)
			}
			for _, d := range took {
				if d > slices.Min(took)+10*time.Millisecond {
					slow++
				}
			}
			if slow > 8 {
				t.Errorf("%s: %d of 200 calls waited for a hung store", name, slow)
			}
			if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
				t.Errorf("%s: %q decides; want %q", name, h.Decides, mirror.PartLocal)
			}
		})
	}
}

// TestSlowButWorking: a store that takes longer than the default Timeout, and less than
// its callers', is healthy.
func TestSlowButWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 40 * time.Millisecond }
		s := newMirror(t, plain{heedful{shared}}, mirror.Config{})
		l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Allow(t.Context(), "key"); err != nil {
			t.Error(err)
		}
		if h := l.Check(t.Context()); h.Status != ratelimit.StatusOK {
			t.Errorf("Check says %+v", h)
		}
	})
}

// deaf takes a second, whatever its context says.
type deaf struct{ store *memstore.Store }

func (d deaf) Take(_ context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	time.Sleep(time.Second)
	return d.store.Take(context.Background(), r)
}

func (d deaf) Reset(ctx context.Context, key string, p *ratelimit.Policy) error {
	return d.store.Reset(ctx, key, p)
}

// TestDeafStoreIsAway, though it answers: nobody waits for it a fourth time.
func TestDeafStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMirror(t, deaf{memstore.New(memstore.Config{})}, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(5))
		slow := 0
		for range 60 {
			before := time.Now()
			take(t, s, strconv.Itoa(rand.Int()), p, 1)
			if time.Since(before) > ratelimit.DefaultTimeout {
				slow++
			}
		}
		if slow != 3 {
			t.Errorf("%d of 60 calls waited; want 3", slow)
		}
	})
}
