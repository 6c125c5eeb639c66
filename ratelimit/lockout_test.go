package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestLockout: the last of the denials reports the lock-out, which ends on time however often the
// client tries. Then denials are counted anew, and what was used before is used.
func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{"2/h;lockout=3/1m:10m", "2/h;lockout=3/1m:10m, 9/s;name=other", "1 at a time, 2/h;lockout=3/1m:10m", "2/h;lockout=3/1m:10m, 1/d;name=watched;shadow"} {
			l := newLimiter(t, parsed(t, text), ratelimit.Config{})
			enter := func(key string) ratelimit.Result {
				t.Helper()
				r, h, err := l.Enter(t.Context(), key, 1)
				if err != nil {
					t.Fatal(err)
				}
				h.Release(t.Context())
				return r
			}
			enter("k")
			enter("k")
			denied := 0
			for range 2 {
				for ; denied < 2; denied++ {
					if r := enter("k"); r.Allowed || r.Blocked() {
						t.Fatalf("%s: denial %d: %v", text, denied+1, r)
					}
				}
				r := enter("k")
				if b, ok := r.Policy().Block(); !ok || b.Reason != "lockout of default" || r.RetryAfter() != 10*time.Minute || r.Len() != 0 {
					t.Errorf("%s: %+v, %v", text, b, r)
				}
				begun := time.Now()
				for range 599 {
					time.Sleep(time.Second)
					if r := enter("k"); !r.Blocked() || r.RetryAfter() != 10*time.Minute-time.Since(begun) {
						t.Fatalf("%s: after %v: %v", text, time.Since(begun), r.RetryAfter())
					}
				}
				if err := l.Wait(t.Context(), "k"); !errors.Is(err, ratelimit.ErrBlocked) && !strings.Contains(text, "at a time") {
					t.Errorf("%s: Wait: %v", text, err)
				}
				if r := enter("another"); r.Blocked() {
					t.Errorf("%s: another key is locked out", text)
				}
				time.Sleep(time.Second)
				if r := enter("k"); r.Blocked() || r.Allowed {
					t.Errorf("%s: after the end: %v", text, r)
				}
				denied = 1
			}
		}
	})
}

// TestLockoutCounts: only denials within the time of the first one count, by the limit that has
// the lock-out, of calls that take tokens and do not wait; none in shadow mode.
func TestLockoutCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := parsed(t, "1/h;lockout=3/1m:10m, 1/m;name=other")
		l := newLimiter(t, limits, ratelimit.Config{})
		allow(t, l, "slow", 1)
		for range 10 { // 2 a minute
			time.Sleep(31 * time.Second)
			if r := allow(t, l, "slow", 1); r.Blocked() {
				t.Fatal("the denials of different minutes count together")
			}
		}
		for range 9 {
			peek(t, l, "slow")
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := l.Wait(ctx, "slow"); errors.Is(err, ratelimit.ErrBlocked) {
				t.Error("a call that waits counts")
			}
			cancel()
		}
		ample := newLimiter(t, parsed(t, "9/s;lockout=3/1m:10m, 1/h;name=other"), ratelimit.Config{})
		shadow := newLimiter(t, limits, ratelimit.Config{Shadow: true})
		for range 9 {
			if r := allow(t, ample, "k", 1); r.Blocked() {
				t.Fatal("denials by another limit count")
			}
			if r := allow(t, shadow, "k", 1); !r.Allowed {
				t.Fatal("shadow mode locks out")
			}
		}
	})
}

// TestLockoutOfRoutes: a key is locked out of the parts of a limiter, too, and Reset frees it.
func TestLockoutOfRoutes(t *testing.T) {
	l := newLimiter(t, parsed(t, "1/h;lockout=1/1m:10m"), ratelimit.Config{})
	part := with(t, l, ratelimit.PerHour(9).Named("part"))
	admitted(t, l, "k", 2)
	if r := allow(t, part, "k", 1); !r.Blocked() {
		t.Error("the part serves a key that is locked out")
	}
	if err := l.Reset(t.Context(), "k"); err != nil || !allow(t, part, "k", 1).Allowed {
		t.Errorf("Reset does not end the lock-out: %v", err)
	}
}

// TestLockoutFromARoute: PeekParts shows the limits of a part that a key is locked out of, and until when.
func TestLockoutFromARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks, err := ratelimit.ParseLimit("1/h;name=export;lockout=2/1m:10m")
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, ratelimit.PerSecond(9), ratelimit.Config{})
		export := with(t, l, locks, ratelimit.PerDay(50).Named("daily"), ratelimit.PerHour(5).Named("watched").Shadowed())
		other := with(t, l, ratelimit.PerHour(7).Named("other"))
		admitted(t, export, "k", 3)
		for range 2 {
			parts, err := l.PeekParts(t.Context(), "k")
			if err != nil || len(parts) != 2 {
				t.Fatal(parts, err)
			}
			var names []string
			for _, limit := range parts[0].Policy().Limits() {
				names = append(names, limit.String())
			}
			watched, _ := parts[0].ShadowState(0)
			if b, ok := parts[0].Policy().Block(); !ok || b.Reason != "lockout of export" || parts[0].RetryAfter() != 10*time.Minute || parts[0].Len() != 0 || !watched.Undecided || watched.Limit.Name != "watched" ||
				strings.Join(names, ", ") != locks.String()+", 50/d;name=daily" {
				t.Errorf("%+v, %v, %v, %+v", b, parts[0].RetryAfter(), names, watched)
			}
			if parts[1].Blocked() || parts[1].Limit().Name != "other" {
				t.Errorf("the other part: %v", parts[1])
			}
		}
		if r := allow(t, l, "k", 1); !r.Allowed {
			t.Error("a key that is locked out of a part is denied elsewhere")
		}
		if found, err := l.ResetLimit(t.Context(), "k", "export"); !found || err != nil {
			t.Error(found, err)
		}
		if parts, err := l.PeekParts(t.Context(), "k"); err != nil || parts[0].Blocked() || parts[0].Len() != 2 {
			t.Errorf("after the reset: %v, %v", parts, err)
		}
		runtime.KeepAlive(other)
	})
}

// TestLockoutOfASharedLimit: a lock-out is the key's alone, so that Reset ends it, too.
func TestLockoutOfASharedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := ratelimit.ParsePolicy("100/s, 1/h;name=org;shared;lockout=1/1m:10m")
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, p.In("acme"), ratelimit.Config{})
		admitted(t, l, "k", 2)
		time.Sleep(time.Minute)
		if r := allow(t, l, "k", 1); !r.Blocked() || r.RetryAfter() != 9*time.Minute {
			t.Fatalf("the key is not locked out: %v", r)
		}
		err = l.Reset(t.Context(), "k")
		if r := allow(t, l, "k", 1); err != nil || r.RetryAfter() != 10*time.Minute { // it is denied, and locked out anew
			t.Errorf("Reset does not end the lock-out: %v, %v", err, r)
		}
	})
}

// TestLockoutMemory: more keys than there is room for are denied and not locked out; those that
// are, stay so.
func TestLockoutMemory(t *testing.T) {
	l := newLimiter(t, parsed(t, "1/h;lockout=1/1m:10m"), ratelimit.Config{})
	lockedOut := func(key string) bool {
		admitted(t, l, key, 2)
		r := peek(t, l, key)
		return r.Blocked()
	}
	n := 0
	for i := range 80_000 {
		if lockedOut(fmt.Sprint("key ", i)) {
			n++
		}
	}
	if n < 60_000 || n > 65_536 {
		t.Errorf("%d keys are locked out", n)
	}
	if r := peek(t, l, "key 7"); !r.Blocked() {
		t.Error("the flood has freed the first ones")
	}
}

func TestLockoutText(t *testing.T) {
	l, err := ratelimit.ParseLimit("5/s;lockout=20/60s:600s;name=a")
	if err != nil || l != ratelimit.PerSecond(5).Named("a").LockedOut(20, time.Minute, 10*time.Minute) || l.String() != "5/s;name=a;lockout=20/m:10m" {
		t.Errorf("%v, %v", l, err)
	}
	for _, text := range []string{"5/s;lockout", "5/s;lockout=", "5/s;lockout=20", "5/s;lockout=20/m", "5/s;lockout=0/m:m", "5/s;lockout=1/0s:m", "5/s;lockout=1/m:99999d", "5/s;lockout=9999999/m:m"} {
		if _, err := ratelimit.ParseLimit(text); err == nil || !strings.Contains(err.Error(), "after 20 denials in a minute, for 10 minutes") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := ratelimit.NewPolicy(ratelimit.PerSecond(5).LockedOut(-1, 0, 0)); len(ratelimit.Faults(err)) != 1 || ratelimit.Faults(err)[0].Field != "Lockout" {
		t.Errorf("%v", err)
	}
}

// TestLockedOutAllocates: nothing.
func TestLockedOutAllocates(t *testing.T) {
	l := newLimiter(t, parsed(t, "1/h;lockout=1/1m:10m"), ratelimit.Config{})
	admitted(t, l, "k", 2)
	if n := testing.AllocsPerRun(100, func() { _, _ = l.Allow(t.Context(), "k") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
