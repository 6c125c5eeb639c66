package middleware

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The classes of faults that are not the store's. Those of a decision have the
// class that [ratelimit.ErrorClass] gives to its error.
const (
	FaultKey          = "key"           // a KeyFunc returned an error; the request counts as one without a key
	FaultKeyPanic     = "key-panic"     // a KeyFunc panicked; the address was used
	FaultCostPanic    = "cost-panic"    // Config.Cost panicked; the request cost 1
	FaultNegativeCost = "negative-cost" // Config.Cost returned less than 0; the request cost 1
	FaultSkipPanic    = "skip-panic"    // Config.Skip panicked; the request was limited
	FaultDeniedPanic  = "denied-panic"  // Config.Denied panicked
	FaultDeniedSilent = "denied-silent" // Config.Denied wrote nothing; the problem was sent
	FaultChargedTwice = "charged-twice" // the same middleware is around a handler twice; reported once
	FaultObservePanic = "observe-panic" // Config.Observe panicked; the outcome stands
)

// faults tells of what went wrong: of each fault to the hook, and of some to the
// log, so that an outage does not fill the disk.
type faults struct {
	hook   func(context.Context, string)
	logger *slog.Logger

	mu         sync.Mutex
	logged     time.Time // when the last line was written
	suppressed int       // faults since then
}

// report tells of a fault of one class, and of what became of the request.
func (f *faults) report(ctx context.Context, class, outcome string) {
	if f.hook != nil {
		ignorePanic(func() { f.hook(ctx, class) })
	}
	if suppressed, ok := f.mayLog(time.Now()); ok {
		ignorePanic(func() {
			f.log().LogAttrs(ctx, slog.LevelError, "keyrate: rate limiting failed",
				slog.String("class", class), slog.String("outcome", outcome), slog.Int("suppressed", suppressed))
		})
	}
}

// mayLog lets one line pass a second, and returns how many did not since the last.
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

// ignorePanic calls a hook or a log handler: whatever befalls them, the request is
// answered.
func ignorePanic(call func()) {
	defer func() { _ = recover() }()
	call()
}
