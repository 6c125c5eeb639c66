package mirror_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// split is a store of three servers. Some may be down.
type split struct {
	*faulty
	down  [3]atomic.Bool
	hangs bool        // a server that is down does not answer; otherwise it refuses
	two   atomic.Bool // the second server has the third's keys now
}

func (s *split) server(key string) int {
	sum := 0
	for _, c := range []byte(key) {
		sum += int(c)
	}
	if s.two.Load() {
		return min(sum%3, 1)
	}
	return sum % 3
}

func (s *split) Partition(_, key string) string { return fmt.Sprint("server ", s.server(key)) }

func (s *split) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	switch {
	case !s.down[s.server(r.Key)].Load():
		return s.faulty.Take(ctx, r)
	case s.hangs:
		time.Sleep(r.Timeout)
		return store.Decision{}, &store.Error{Class: store.ClassTimeout, Err: context.DeadlineExceeded}
	default:
		return store.Decision{}, errRefused
	}
}

// TestOneServerOfThree is down: its keys are decided here, and the others are not affected.
func TestOneServerOfThree(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := &split{faulty: newFaulty(), hangs: hangs}
			var changes []mirror.Change
			var mu sync.Mutex
			s := newMirror(t, shared, mirror.Config{Nodes: 3, OnChange: func(c mirror.Change) {
				mu.Lock()
				defer mu.Unlock()
				changes = append(changes, c)
			}})
			p := policy(t, ratelimit.PerSecond(1000))
			calls := func(n int) (slow, elsewhere int) {
				for i := range n {
					time.Sleep(5 * time.Millisecond)
					key, before := fmt.Sprint("key", i%30), time.Now()
					d := take(t, s, key, p, 1)
					if time.Since(before) > 10*time.Millisecond {
						slow++
					}
					if down := shared.down[shared.server(key)].Load(); (d.Source == store.FromStore) == down {
						elsewhere++
					}
				}
				return slow, elsewhere
			}
			shared.down[2].Store(true)
			slow, elsewhere := calls(2000)
			if slow > 3 || elsewhere > 0 {
				t.Errorf("hangs %v: %d requests were slow, %d had the wrong source; want 3 and 0 at most", hangs, slow, elsewhere)
			}
			h := s.Check(t.Context())
			if h.Status != store.StatusDegraded || h.Decides != mirror.PartShared || len(h.Warnings) != 1 {
				t.Errorf("Check returned %+v; want degraded, and one warning", h)
			}
			// Either it comes back, or another server takes its keys and it is not asked.
			if hangs {
				shared.two.Store(true)
			} else {
				shared.down[2].Store(false)
			}
			time.Sleep(time.Second)
			if slow, elsewhere := calls(100); slow+elsewhere > 0 {
				t.Errorf("hangs %v: afterwards %d requests were slow, %d had the wrong source", hangs, slow, elsewhere)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(changes) != 2 || !changes[0].Down || changes[1].Down || changes[0].Part != "server 2" || changes[1].Part != "server 2" {
				t.Errorf("the changes are %+v; want server 2 down, then back", changes)
			}
		})
	}
}

// TestAllServers are down: only the share decides.
func TestAllServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &split{faulty: newFaulty()}
		for i := range shared.down {
			shared.down[i].Store(true)
		}
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(1000))
		for i := range 100 {
			if d := take(t, s, fmt.Sprint("key", i), p, 1); d.Source != store.FromShare {
				t.Fatalf("decided by the %v; want the share", d.Source)
			}
		}
		_ = s.Close()
		// Parts that are met from now on never count as down: they would not be probed.
		take(t, s, "key", p, 1)
	})
}

// unnamed panics in Partition.
type unnamed struct{ *faulty }

func (unnamed) Partition(string, string) string { panic("no part") }

// TestPartitionPanics: the store counts as one part.
func TestPartitionPanics(t *testing.T) {
	s := newMirror(t, unnamed{newFaulty()}, mirror.Config{})
	if !take(t, s, "key", policy(t, ratelimit.PerSecond(1)), 1).Allowed {
		t.Error("denied")
	}
}

// TestManyParts: a store that names a new part for each key does not use up the memory.
func TestManyParts(t *testing.T) {
	s := newMirror(t, many{newFaulty()}, mirror.Config{})
	p := policy(t, ratelimit.PerSecond(1))
	for i := range 3000 {
		take(t, s, fmt.Sprint(i), p, 1)
	}
}

type many struct{ *faulty }

func (many) Partition(_, key string) string { return key }

// sparse is a store of two parts. One has few keys, and may be down.
type sparse struct {
	*faulty
	down atomic.Bool
}

func few(key string) bool {
	var h uint32 = 2166136261
	for i := range key {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return key == "few" || h%16384 == 7
}

func (s *sparse) Partition(_, key string) string {
	if few(key) {
		return "few"
	}
	return "many"
}

func (s *sparse) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.down.Load() && few(r.Key) {
		return store.Decision{}, errRefused
	}
	return s.faulty.Take(ctx, r)
}

// TestPartWithFewKeys: a server of a Cluster with one slot does not come back while it is
// down.
func TestPartWithFewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &sparse{faulty: newFaulty()}
		var mu sync.Mutex
		back := 0
		s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) {
			mu.Lock()
			defer mu.Unlock()
			if !c.Down {
				back++
			}
		}})
		p := policy(t, ratelimit.PerSecond(5))
		shared.down.Store(true)
		for range 1000 {
			take(t, s, "few", p, 1)
			time.Sleep(10 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if back > 0 {
			t.Errorf("in an outage of 10 s, OnChange reported %d times that the part is back", back)
		}
	})
}
