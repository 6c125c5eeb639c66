package chaos_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestFaultClock: Redis' clock is set during the load. Set back, no key waits for longer
// than one refill; set forward, each key is admitted at most its burst. OnStep reports once
// by how much.
func TestFaultClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  time.Duration
		extra int
	}{
		{"Redis' clock is set back by 1 h", -time.Hour, 0},
		{"Redis' clock is set forward by 2 h", 2 * time.Hour, int(faultBurst)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t)
				clock := newClock(t)
				clock.Go()
				client := newClient(t, server.URL())
				clock.Steer(client)
				steps := make(chan time.Duration, 100)
				b := startBout(t, "17", c.name, chainConfig{Client: client, Mirror: mirror.Config{
					OnStep: func(_ string, by time.Duration) { steps <- by },
				}})
				before := latest(server, clock)
				b.begin(func() { clock.Advance(c.step) })
				time.Sleep(3 * time.Second)
				after := latest(server, clock)
				b.end(func() {})
				// The times of the buckets in Redis must have moved.
				if moved := after - before; (moved - c.step).Abs() > chaos.Patience(10*time.Second) {
					b.lacks("the times of the buckets in Redis moved by %v; want %v", moved, c.step)
				}
				b.finish()
				if len(steps) != 1 {
					t.Errorf("OnStep was called %d times; want once", len(steps))
				} else if by := <-steps; (by - c.step).Abs() > chaos.Patience(time.Second) {
					t.Errorf("OnStep reports that the clock was set by %v; want %v", by, c.step)
				}
				return b, wants{Slowest: budget, Stays: true, Gap: 1200 * time.Millisecond, Extra: c.extra}
			})
		})
	}
}

// latest returns the latest time at which a bucket of a server is full. It ignores the
// ledger, which never is.
func latest(server *chaos.Server, clock *chaos.Clock) time.Duration {
	newest := int64(0)
	for _, name := range server.Keys("keyrate:") {
		value, _ := server.Do("GET", name).(string)
		parts := strings.Split(value, ":")
		if len(parts) < 2 || !strings.HasSuffix(name, ":default") {
			continue
		}
		micros, _ := strconv.ParseInt(parts[1], 10, 64)
		if micros < clock.Now()+time.Minute.Microseconds() {
			newest = max(newest, micros)
		}
	}
	return time.Duration(newest) * time.Microsecond
}
