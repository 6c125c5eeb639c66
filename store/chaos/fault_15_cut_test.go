package chaos_test

import (
	"testing"
	"time"
)

// TestFaultConnectionsCutTLS: another client closes all connections, which use TLS, a few
// times. New ones work at once.
func TestFaultConnectionsCutTLS(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		const host = "127.0.0.1"
		ours := newAuthority(t, "ours")
		s := startSecured(t, ours.issue(t, host, time.Now().Add(time.Hour)))
		b := startBout(t, "15", "TLS, all connections are ended, five times", chainConfig{Client: overTLS(t, s.TLS, ours.trust(host))})
		ended := 0
		b.begin(func() {
			for range 5 {
				n, _ := s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").(int64)
				ended += int(n)
				time.Sleep(300 * time.Millisecond)
			}
		})
		b.end(func() {})
		b.finish()
		if ended < 5 {
			b.lacks("%d connections were ended; want 5", ended)
		}
		// After each new outage Redis needs more successful probes to count as up.
		return b, wants{Slowest: budget, Extra: b.fire.fates(), Back: 2 * time.Second, Goroutines: 50, Ledger: s.Server}
	})
}
