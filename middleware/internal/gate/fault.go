package gate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/keyrate/keyrate/store"
)

// The classes of faults in this package. Package middleware describes them.
const (
	FaultKey             = "key"
	FaultKeyPanic        = "key-panic"
	FaultCostPanic       = "cost-panic"
	FaultNegativeCost    = "negative-cost"
	FaultReservePanic    = "reserve-panic"
	FaultNegativeReserve = "negative-reserve"
	FaultNegativePrice   = "negative-price"
	FaultSkipPanic       = "skip-panic"
	FaultObservePanic    = "observe-panic"
)

// Report reports a fault and what happens to the call. Each fault goes to Config.OnFault,
// and at most one a second to the log, so that an outage does not fill the disk.
func (g *Gate[C]) Report(ctx context.Context, class, outcome string) {
	g.faults.report(ctx, class, outcome)
}

// faults reports faults and limits the log.
type faults struct {
	hook   func(context.Context, string)
	logger *slog.Logger

	mu         sync.Mutex
	logged     time.Time // when the last line was written
	suppressed int       // faults since then
}

func (f *faults) report(ctx context.Context, class, outcome string) {
	if f.hook != nil {
		_ = store.Try(func() { f.hook(ctx, class) })
	}
	if suppressed, ok := f.mayLog(time.Now()); ok {
		_ = store.Try(func() {
			f.log().LogAttrs(ctx, slog.LevelError, "keyrate: rate limiting failed",
				slog.String("class", class), slog.String("outcome", outcome), slog.Int("suppressed", suppressed))
		})
	}
}

// mayLog reports whether a line may be logged, at most one a second, and returns how many
// were suppressed since the last one.
func (f *faults) mayLog(now time.Time) (suppressed int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.logged.IsZero() && now.Sub(f.logged) < time.Second {
		f.suppressed++
		return 0, false
	}
	suppressed, f.suppressed, f.logged = f.suppressed, 0, now
	return suppressed, true
}

func (f *faults) log() *slog.Logger {
	if f.logger == nil {
		return slog.Default()
	}
	return f.logger
}
