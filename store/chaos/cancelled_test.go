package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestCancelled: when a caller gives up before or during the call, it gets an error of its
// class and is charged at most once, and the other calls of the batch are not affected.
func TestCancelled(t *testing.T) {
	server := chaos.StartServer(t)
	proxy := chaos.StartProxy(t, server.Addr, 1)
	proxy.Delay(5 * time.Millisecond)
	l := startLoad(t, patientStore(t, proxy), patience, countable, []string{"key"}, 20, 0)
	p := policyOf(t, countable)
	stalls := testkit.WatchStalls(t)
	cancelled, decided, late := 0, 0, 0
	for i := 0; i < 200 || i < 1000 && cancelled < 100; i++ { // after a stall the answer may come first
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i%10)*time.Millisecond, cancel)
		start := time.Now()
		d, err := l.store.Take(ctx, store.Request{Key: "key", Limits: p, Cost: 1, Timeout: patience})
		cancel()
		switch class := store.ErrorClass(err); {
		case err == nil && d.Allowed:
			decided++
		case class == store.ClassCanceled:
			cancelled++
			if time.Since(start) > stalls.Widen(chaos.Patience(20*time.Millisecond), start) {
				late++
			}
		default:
			t.Errorf("allowed=%v, class %q, %v", d.Allowed, class, err)
		}
	}
	l.end()
	wantNoErrors(t, l.all())
	if late > cancelled/20 { // some are late because of the scheduler
		t.Errorf("of %d calls %d continued for more than 10 ms after their caller had given up", cancelled, late)
	}
	admitted := l.windows["key"].tokens() + decided
	if n := charged(t, patientStore(t, server), "key", countable); cancelled < 100 || n < admitted || n > admitted+cancelled {
		t.Errorf("%d calls were admitted and %d cancelled, but %d were charged", admitted, cancelled, n)
	}
}
