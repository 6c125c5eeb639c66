package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// blockedFor returns a limiter whose keys are blocked for so long, and then held to five.
func blockedFor(t testing.TB, d time.Duration) *ratelimit.Limiter {
	t.Helper()
	p, err := ratelimit.NewBlocked(ratelimit.Block{Until: time.Now().Add(d), Reason: "chargeback"}, policy(t, five))
	if err != nil {
		t.Fatal(err)
	}
	return newLimiter(t, p, ratelimit.Config{})
}

// TestBlockedQuota: the quota of a blocked key is what the middleware responds to it, but for a
// question that comes too often.
func TestBlockedQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := quotaOf(t, blockedFor(t, time.Hour), middleware.QuotaConfig{Config: middleware.Config{BlockedStatus: 429}})
		for range 3 {
			if a := (call{}).to(h); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") != "3600" || !strings.Contains(a.Body.String(), "Access is blocked; retry after 1h.") {
				t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
			}
		}
		time.Sleep(time.Hour)
		if a := (call{}).to(h); a.Code != http.StatusOK {
			t.Errorf("%d %s", a.Code, a.Body)
		}
	})
}

// TestBlockedEvent: Observe sees the outcome and why the key is blocked.
func TestBlockedEvent(t *testing.T) {
	var events []middleware.Event
	h := middleware.Must(middleware.RateLimit(blockedFor(t, time.Hour), middleware.Config{Jitter: time.Minute, Observe: func(_ *http.Request, e middleware.Event) { events = append(events, e) }}))(hello)
	call{}.to(h)
	if len(events) != 1 || events[0].Outcome != middleware.OutcomeBlocked || events[0].Served {
		t.Fatalf("%+v", events)
	}
	if b, ok := events[0].Result.Policy().Block(); !ok || b.Reason != "chargeback" {
		t.Errorf("%v, %v", b, ok)
	}
}

// TestLockedOut: the responses to a client that goes on report the end of its lock-out, which stays the same.
func TestLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five.LockedOut(3, time.Minute, 10*time.Minute), ratelimit.Config{}), middleware.Config{}))(hello)
		for i, want := range []int{200, 200, 200, 200, 200, 429, 429, 403, 403} {
			a := (call{}).to(h)
			if a.Code != want || want == 403 && a.Header().Get("Retry-After") != "600" {
				t.Errorf("call %d: %d, %v, want %d", i+1, a.Code, a.Header(), want)
			}
		}
		time.Sleep(10*time.Minute - time.Millisecond)
		if a := wantStatus(t, h, call{}, 403); a.Header().Get("Retry-After-Ms") != "1" {
			t.Errorf("%v", a.Header())
		}
		time.Sleep(time.Millisecond)
		wantStatus(t, h, call{}, 200)
	})
}
