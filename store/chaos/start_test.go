package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestStartBeforeRedis: a program that starts before Redis gets errors in time, and
// decisions as soon as Redis is up.
func TestStartBeforeRedis(t *testing.T) {
	watch, server := startWatch(t), chaos.StartServer(t)
	server.Kill()
	backend := storeAt(t, server)
	p := policyOf(t, ratelimit.PerHour(5))
	var took []time.Duration
	for range 3 {
		start := time.Now()
		_, err := tryTake(t.Context(), backend, "down", p, 1)
		if class := store.ErrorClass(err); class != redisstore.ClassConnect {
			t.Errorf("class %q, %v; want %q", class, err, redisstore.ClassConnect)
		}
		took = append(took, time.Since(start))
	}
	watch.wantInBudget(t, took)
	server.Restart()
	back := chaos.Until(t, 2*time.Second, "a decision is made", func() bool {
		d, err := tryTake(t.Context(), backend, "down", p, 1)
		return err == nil && d.Allowed
	})
	if back > chaos.Patience(time.Second) {
		t.Errorf("the first decision came %v after Redis was up", back)
	}
}
