package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// heedful gives up with its context.
type heedful struct{ *faulty }

func (h heedful) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := h.faulty.Take(ctx, r)
	if ctx.Err() != nil {
		return store.Decision{}, ctx.Err()
	}
	return d, err
}

// TestShortTimeouts: requests that wait for less than the store takes open the breaker. After a
// request that waits longer, the store is back.
func TestShortTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 2 * time.Millisecond }
		s := newMirror(t, plain{heedful{shared}}, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(100))
		hasty := func() {
			_, _ = s.Take(t.Context(), store.Request{Key: strconv.Itoa(rand.Int()), Limits: p, Cost: 1, Timeout: 2 * time.Millisecond})
		}
		for range 3 {
			hasty()
		}
		if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
			t.Errorf("%q decides; want %q", h.Decides, mirror.PartLocal)
		}
		take(t, s, "key", p, 1)
		time.Sleep(time.Second)
		// Now the hasty requests are among others, and prove nothing.
		for range 100 {
			hasty()
			if d := take(t, s, strconv.Itoa(rand.Int()), p, 1); d.Source != store.FromStore {
				t.Fatalf("decided by the %v; want the store", d.Source)
			}
		}
	})
}

// TestShortTimeoutsDetectAHungStore: each request has less than half of the timeout, and
// together they have got no answer for longer than that.
func TestShortTimeoutsDetectAHungStore(t *testing.T) {
	for name, limit := range map[string]func(ctx context.Context, s *mirror.Store, p *ratelimit.Policy) func(){
		"deadline": func(ctx context.Context, s *mirror.Store, p *ratelimit.Policy) func() {
			return func() {
				ctx, cancel := context.WithTimeout(ctx, 24*time.Millisecond)
				defer cancel()
				_, _ = s.Take(ctx, store.Request{Key: "key", Limits: p.Compiled(), Cost: 1, Timeout: 50 * time.Millisecond})
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
			call := limit(t.Context(), s, testkit.Policy(t, ratelimit.PerSecond(1000)))
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
				t.Errorf("%s: %d of 200 requests waited for a hung store", name, slow)
			}
			if h := s.Check(t.Context()); h.Decides != mirror.PartLocal {
				t.Errorf("%s: %q decides; want %q", name, h.Decides, mirror.PartLocal)
			}
		})
	}
}

// TestSlowButWorking: a store that takes longer than the default timeout, but less than that of
// its requests, is healthy.
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
		if h := l.Check(t.Context()); h.Status != store.StatusOK {
			t.Errorf("Check returned %+v", h)
		}
	})
}

// deaf takes a second, whatever its context says.
type deaf struct{ store *memstore.Store }

func (d deaf) Take(_ context.Context, r store.Request) (store.Decision, error) {
	time.Sleep(time.Second)
	return d.store.Take(context.Background(), r)
}

func (d deaf) Reset(ctx context.Context, r store.Request) error {
	return d.store.Reset(ctx, r)
}

// TestDeafStoreIsDown, though it answers: no fourth request waits for it.
func TestDeafStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMirror(t, deaf{memstore.New(memstore.Config{})}, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(5))
		slow := 0
		for range 60 {
			before := time.Now()
			take(t, s, strconv.Itoa(rand.Int()), p, 1)
			if time.Since(before) > store.DefaultTimeout {
				slow++
			}
		}
		if slow != 3 {
			t.Errorf("%d of 60 requests waited; want 3", slow)
		}
	})
}

// TestOneLongTimeout: a single request with a long timeout makes no other wait for a store that
// hangs, or for one that works again.
func TestOneLongTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(5))
		if _, err := s.Take(t.Context(), store.Request{Key: "batch", Limits: p, Cost: 1, Timeout: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		shared.hangs.Store(true)
		var slow atomic.Int64
		calls := 0
		var wg sync.WaitGroup
		start := time.Now()
		for i := 0; time.Since(start) < 15*time.Second; i++ {
			calls++
			wg.Go(func() {
				before := time.Now()
				take(t, s, fmt.Sprint(i%10), p, 1)
				if time.Since(before) > 10*time.Millisecond {
					slow.Add(1)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		wg.Wait()
		// At most rate*D + 3 requests wait, with a fifth to spare.
		if slow.Load() > 16 {
			t.Errorf("of %d requests %d were slow", calls, slow.Load())
		}
		shared.up()
		start = time.Now()
		for time.Since(start) < 30*time.Second && s.Check(t.Context()).Status != store.StatusOK {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it was back %v after it worked again", took)
		}
	})
}

// TestRequestsWithoutTime are not sent, and prove nothing about the store.
func TestRequestsWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		var changes atomic.Int64
		s := newMirror(t, heedful{shared}, mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		p := policy(t, ratelimit.PerSecond(5))
		take(t, s, "key", p, 1)
		for range 4 {
			time.Sleep(time.Minute)
			ctx, cancel := context.WithDeadline(t.Context(), time.Now())
			_, _ = s.Take(ctx, store.Request{Key: "key", Limits: p, Cost: 1, Timeout: 50 * time.Millisecond})
			cancel()
		}
		time.Sleep(time.Second)
		if changes := changes.Load(); changes != 0 {
			t.Errorf("a store that works counted as down: %d changes", changes)
		}
	})
}
