package chaos_test

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestFaultShutdown: a program is shut down under load, while Redis is up or hangs. Each
// accepted request is answered, and none of its goroutines is left.
func TestFaultShutdown(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		name := "shut down under load"
		if hangs {
			name += ", while Redis hangs"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := chaos.StartServer(t)
			proxy := chaos.StartProxy(t, server.Addr, 1)
			proxy.Delay(3 * time.Millisecond)
			b := startBout(t, "19", name, chainConfig{At: proxy})
			b.begin(func() {
				if hangs {
					server.Hang()
				}
			})
			// Some requests still wait for the answer when the shutdown begins.
			for deadline := time.Now().Add(5 * time.Second); b.chain.inside.Load() < 1 && time.Now().Before(deadline); {
				time.Sleep(500 * time.Microsecond)
			}
			start := time.Now()
			b.chain.close(t)
			took := time.Since(start)
			if hangs {
				wantState(t, server, 'T')
				server.Resume()
			}
			time.Sleep(200 * time.Millisecond) // requests still come, and find no server
			b.fire.end()
			left := -1
			chaos.Until(t, 2*time.Second, "no goroutine is left", func() bool {
				left = goroutines(b.chain.name)
				return left == 0
			})
			_ = b.gauge.end()

			answered, rejected, waiting := 0, 0, 0
			for _, one := range b.fire.all() {
				switch {
				case one.err == nil && (one.status == http.StatusOK || one.status == http.StatusTooManyRequests):
					answered++
				case one.decided.IsZero() && rejects(one.err):
					rejected++
				default:
					t.Errorf("a request was accepted and answered with status %d, %v", one.status, one.err)
				}
				if one.sent.Before(start) && one.answered.After(start) {
					waiting++
				}
			}
			t.Logf("shut down in %v; %d requests answered, %d of them under way when the shutdown began; %d rejected", took.Round(time.Millisecond), answered, waiting, rejected)
			if entered := int(b.chain.entered.Load()); entered != answered {
				t.Errorf("%d requests were accepted, and %d answered", entered, answered)
			}
			if waiting == 0 || rejected == 0 {
				t.Errorf("%d requests were under way, and %d came after the shutdown: there was no load", waiting, rejected)
			}
			if limit := chaos.Patience(time.Second); took > limit {
				t.Errorf("the shutdown took %v; want %v at most", took, limit)
			}
			v := &verdict{figures: figures{row: b.row, name: b.name, before: b.before, after: left, offered: answered + rejected}}
			if at := b.fire.first(b.fault, store.FromShare); !at.IsZero() {
				v.figures.local = at.Sub(b.fault)
			}
			b.report(v.figures)
		})
	}
}

// rejects reports whether a request was not accepted: there was no listener, or the
// connection was closed before any byte of an answer.
func rejects(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}
