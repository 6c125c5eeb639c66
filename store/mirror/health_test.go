package mirror_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// checked is a shared store that reports its health itself.
type checked struct {
	*faulty
	health func() store.Health
}

func (c checked) Check(context.Context) store.Health { return c.health() }

// TestCheck: Check reports both parts, and which one decides since when.
func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		limiter, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		want := func(when string, status store.Status, decides string, sharedOK bool, since time.Time, warnings int) {
			t.Helper()
			h := limiter.Check(t.Context())
			if h.Status != status || h.Decides != decides || len(h.Parts) != 2 || len(h.Warnings) != warnings {
				t.Fatalf("%s: %+v; want %s, decided by %q, two parts, %d warnings", when, h, status, decides, warnings)
			}
			part, local := h.Parts[0], h.Parts[1]
			if part.Name != mirror.PartShared || part.OK != sharedOK || part.OK != (part.Class == "") || part.Proved.IsZero() || part.OK != part.Proved.Equal(time.Now()) {
				t.Errorf("%s: the shared part is %+v", when, part)
			}
			if local.Name != mirror.PartLocal || !local.OK || local.Proved.IsZero() {
				t.Errorf("%s: the local part is %+v", when, local)
			}
			if decides == mirror.PartShared && !part.Since.Equal(since) || decides == mirror.PartLocal && !local.Since.Equal(since) {
				t.Errorf("%s: %q decides since %v or %v; want %v", when, decides, part.Since, local.Since, since)
			}
		}
		want("at the start", store.StatusOK, mirror.PartShared, true, time.Time{}, 0)
		time.Sleep(time.Hour)
		shared.down()
		// No request has failed yet. The next one will, and be decided here.
		want("when the shared store is down", store.StatusDegraded, mirror.PartLocal, false, time.Time{}, 0)
		away := time.Now()
		for range 3 {
			if _, err := limiter.Allow(t.Context(), "key"); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
		want("while it is down", store.StatusDegraded, mirror.PartLocal, false, away, 1)
		shared.up()
		want("just before a probe", store.StatusDegraded, mirror.PartLocal, true, away, 1)
		time.Sleep(119 * time.Millisecond)
		synctest.Wait()
		h := limiter.Check(t.Context())
		if back := time.Since(h.Parts[0].Since); back > 119*time.Millisecond {
			t.Errorf("it has been back for %v", back)
		}
		want("when it is back", store.StatusOK, mirror.PartShared, true, h.Parts[0].Since, 0)
	})
}

// TestCheckAsksAChecker: a shared store that is a Checker reports its parts itself, and its
// panic is a failure.
func TestCheckAsksAChecker(t *testing.T) {
	shared := checked{newFaulty(), func() store.Health {
		return store.Health{Status: store.StatusDegraded, Decides: "redis", Warnings: []string{"may evict"},
			Parts: []store.PartHealth{{Name: "redis a", OK: true}, {Name: "redis b", Class: "connect"}}}
	}}
	s := newMirror(t, shared, mirror.Config{})
	h := s.Check(t.Context())
	if h.Status != store.StatusDegraded || h.Decides != "redis" || len(h.Parts) != 3 || h.Parts[2].Name != mirror.PartLocal || len(h.Warnings) != 1 {
		t.Errorf("Check returned %+v", h)
	}
	if n := shared.asked.Load(); n != 0 {
		t.Errorf("the shared store was asked %d times as well", n)
	}
	s = newMirror(t, checked{newFaulty(), func() store.Health { panic("check") }}, mirror.Config{})
	if h := s.Check(t.Context()); h.Status != store.StatusDegraded || h.Parts[0].Class != store.ClassPanic || h.Decides != mirror.PartLocal {
		t.Errorf("Check returned %+v for a store whose Check panics", h)
	}
}

// TestCheckCopies what a Checker returns, which may keep it.
func TestCheckCopies(t *testing.T) {
	kept := store.Health{
		Status: store.StatusOK, Decides: "redis",
		Parts: make([]store.PartHealth, 1, 4), Warnings: make([]string, 0, 4),
	}
	shared := checked{newFaulty(), func() store.Health { return kept }}
	s := newMirror(t, shared, mirror.Config{})
	shared.down()
	for range 3 {
		take(t, s, "key", policy(t, ratelimit.PerSecond(5)), 1)
	}
	s.Check(t.Context())
	if kept.Parts[0] != (store.PartHealth{}) || kept.Warnings[:1][0] != "" || kept.Parts[:2][1] != (store.PartHealth{}) {
		t.Errorf("Check wrote into the Checker's own slices: %+v", kept)
	}
}
