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
	busy := ps.acquire(keyNumber(0))
	for i := 1; i <= 100; i++ {
		ps.release(ps.acquire(keyNumber(i)))
		if len(ps.byKey) > 10 || len(ps.byKey) != ps.recent.Len() {
			t.Fatalf("%d paces in %d places", len(ps.byKey), ps.recent.Len())
		}
	}
	if p := ps.acquire(keyNumber(0)); p != busy {
		t.Error("a pace was forgotten while it was in use")
	}
	var held []*pace
	for i := range 30 {
		held = append(held, ps.acquire(keyNumber(1000+i)))
	}
	if len(ps.byKey) != 31 {
		t.Errorf("%d paces, and 31 are in use", len(ps.byKey))
	}
	for _, p := range held {
		ps.release(p)
	}
	ps.release(ps.acquire(keyNumber(1)))
	if len(ps.byKey) > 10 {
		t.Errorf("%d paces", len(ps.byKey))
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
			ps.release(ps.acquire(keyNumber(i)))
		}
		time.Sleep(maxIdle + time.Second)
		ps.release(ps.acquire(keyNumber(9)))
		if len(ps.byKey) != 1 {
			t.Errorf("%d paces, want 1", len(ps.byKey))
		}
	})
}
