package transport

import (
	"testing"
	"testing/synctest"
	"time"
)

func keyNumber(i int) paceKey { return paceKey{byte(i), byte(i >> 8)} }

// TestPacesAreBounded: those that were used last are kept, and those in use.
func TestPacesAreBounded(t *testing.T) {
	c, err := Config{MaxPaces: 10}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	ps := paces{config: c}
	busy := ps.acquire(keyNumber(0), true)
	for i := 1; i <= 100; i++ {
		ps.release(ps.acquire(keyNumber(i), true))
		if len(ps.byKey) > 10 || len(ps.byKey) != ps.idle.Len()+1 {
			t.Fatalf("%d paces, %d idle", len(ps.byKey), ps.idle.Len())
		}
	}
	if p := ps.acquire(keyNumber(0), true); p != busy {
		t.Error("a pace was forgotten while it was in use")
	}
	var held []*pace
	for i := range 30 {
		held = append(held, ps.acquire(keyNumber(1000+i), true))
	}
	if len(ps.byKey) != 31 || ps.idle.Len() != 0 {
		t.Errorf("%d paces of which %d are searched for one to forget, and 31 are in use", len(ps.byKey), ps.idle.Len())
	}
	for _, p := range held {
		ps.release(p)
	}
	if len(ps.byKey) != 10 {
		t.Errorf("%d paces remain of those that were in use, want 10", len(ps.byKey))
	}
}

func TestPacesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := Config{}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		ps := paces{config: c}
		for i := range 5 {
			ps.release(ps.acquire(keyNumber(i), true))
		}
		time.Sleep(maxIdle + time.Second)
		ps.release(ps.acquire(keyNumber(9), true))
		if len(ps.byKey) != 1 {
			t.Errorf("%d paces, want 1", len(ps.byKey))
		}
	})
}
