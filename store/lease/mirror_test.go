package lease_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/lease"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestMirror: in front of a mirror, leases are spent while the shared store is down, then its share
// decides, and leases come back with the shared store. Close returns everything.
func TestMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		truth := memstore.New(memstore.Config{})
		mirrored, err := mirror.New(storetest.Faulty{Store: truth, When: down.Load, Err: errors.New("down")}, mirror.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer mirrored.Close()
		s, err := lease.New(mirrored, lease.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		l := perSecond(t, 1000, 1000)
		sources := func(span time.Duration) map[store.Source]int {
			all := map[store.Source]int{}
			for start := time.Now(); time.Since(start) < span; time.Sleep(2 * time.Millisecond) {
				d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: 1, Timeout: time.Second})
				if err != nil || !d.Allowed {
					t.Fatalf("%+v, %v", d, err)
				}
				all[d.Source]++
			}
			return all
		}
		up := sources(2 * time.Second)
		down.Store(true)
		first, then := sources(100*time.Millisecond), sources(3*time.Second)
		down.Store(false)
		time.Sleep(3 * time.Second)
		again := sources(2 * time.Second)
		if up[store.FromLease] < 800 || first[store.FromLease] < 10 || then[store.FromShare] < 1000 || again[store.FromLease] < 500 {
			t.Errorf("up %v, down %v and %v, up again %v", up, first, then, again)
		}
		_ = s.Close()
		d, err := truth.Take(t.Context(), store.Request{Key: "key", Limits: l})
		if err != nil || d.Held[0] != 0 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestMirrorDenies: a mirror denies most calls of a key beyond its limit by what it knows, with
// leases in front of it as well.
func TestMirrorDenies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := memstore.New(memstore.Config{})
		var nodes []*lease.Store
		for range 4 {
			mirrored, err := mirror.New(truth, mirror.Config{Nodes: 4})
			if err != nil {
				t.Fatal(err)
			}
			defer mirrored.Close()
			s, err := lease.New(mirrored, lease.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			nodes = append(nodes, s)
		}
		l := perSecond(t, 400, 400)
		by := map[store.Source]int{}
		for start := time.Now(); time.Since(start) < 8*time.Second; time.Sleep(time.Millisecond) {
			for _, s := range nodes {
				d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: 1, Timeout: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if time.Since(start) > 4*time.Second {
					by[d.Source]++
				}
			}
		}
		if by[store.FromKnowledge] < by[store.FromStore] || by[store.FromLease] > 200 {
			t.Errorf("%v", by)
		}
	})
}
