package pace

import (
	"testing"
	"testing/synctest"
	"time"
)

func keyNumber(i int) Key { return Key{byte(i), byte(i >> 8)} }

// TestPacesAreBounded checks that the paces that were used last, and those in use, are
// kept.
func TestPacesAreBounded(t *testing.T) {
	ps := Cache{MaxPaces: 10, MaxWait: time.Minute}
	busy := ps.Acquire(keyNumber(0))
	for i := 1; i <= 100; i++ {
		ps.Release(ps.Acquire(keyNumber(i)))
		if len(ps.byKey) > 10 || len(ps.byKey) != ps.idle.Len()+1 {
			t.Fatalf("%d paces, %d idle", len(ps.byKey), ps.idle.Len())
		}
	}
	if p := ps.Acquire(keyNumber(0)); p != busy {
		t.Error("a pace was forgotten while it was in use")
	}
	var held []*Pace
	for i := range 30 {
		held = append(held, ps.Acquire(keyNumber(1000+i)))
	}
	if len(ps.byKey) != 31 || ps.idle.Len() != 0 {
		t.Errorf("%d paces, %d of them idle, and 31 are in use", len(ps.byKey), ps.idle.Len())
	}
	for _, p := range held {
		ps.Release(p)
	}
	if len(ps.byKey) != 10 {
		t.Errorf("%d paces remain of those that were in use, want 10", len(ps.byKey))
	}
}

// TestPacesExpire checks that an idle pace is forgotten.
func TestPacesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ps := Cache{MaxPaces: 1024, MaxWait: time.Minute}
		for i := range 5 {
			ps.Release(ps.Acquire(keyNumber(i)))
		}
		time.Sleep(maxIdle + time.Second)
		ps.Release(ps.Acquire(keyNumber(9)))
		if len(ps.byKey) != 1 {
			t.Errorf("%d paces, want 1", len(ps.byKey))
		}
	})
}
