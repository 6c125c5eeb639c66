package mirror_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestNewReportsAllFaults of its arguments at once.
func TestNewReportsAllFaults(t *testing.T) {
	_, err := mirror.New(nil, mirror.Config{Nodes: -1, MaxKeys: -1})
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, word := range []string{"shared", "Config.Nodes -1", "Config.MaxKeys -1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %s: %v", word, err)
		}
	}
	if _, err := mirror.New((*memstore.Store)(nil), mirror.Config{}); err == nil {
		t.Error("a nil pointer is taken for a store")
	}
}

// TestNilPolicy: a nil policy is an error, not a panic.
func TestNilPolicy(t *testing.T) {
	s := newMirror(t, memstore.New(memstore.Config{}), mirror.Config{})
	if _, err := s.Take(t.Context(), store.Request{Key: "key", Cost: 1}); err == nil {
		t.Error("there is no error")
	}
	if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: nil}); err == nil {
		t.Error("there is no error of Reset")
	}
}

// TestPrintsNothing: a Store prints neither seeds nor keys.
func TestPrintsNothing(t *testing.T) {
	s := newMirror(t, memstore.New(memstore.Config{}), mirror.Config{})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != "*mirror.Store" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// TestZeroStore: a zero Store answers with an error.
func TestZeroStore(t *testing.T) {
	s := new(mirror.Store)
	five := policy(t, ratelimit.PerSecond(5))
	if d, err := s.Take(t.Context(), store.Request{Key: "key", Limits: five, Cost: 1}); err == nil || d.Allowed {
		t.Errorf("Take: %+v, %v", d, err)
	}
	if err := s.Reset(t.Context(), store.Request{Key: "key", Limits: five}); err == nil {
		t.Error("Reset returns no error")
	}
	if one := settle(t, s, store.Settlement{Key: "key", Limits: five, Actual: 1}); one.Err == nil || s.Holds() {
		t.Errorf("Settle: %+v", one)
	}
	if l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{}); l != nil || err == nil {
		t.Error("ratelimit.New takes it")
	}
	if m, err := mirror.New(s, mirror.Config{}); m != nil || err == nil || !strings.Contains(err.Error(), "shared: mirror: this is the zero Store") {
		t.Errorf("mirror.New takes it: %v", err)
	}
}
