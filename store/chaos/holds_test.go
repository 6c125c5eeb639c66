package chaos_test

import (
	"context"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// calls returns the limit of n calls at once.
func calls(n int) ratelimit.Limit { return ratelimit.AtOnce(n).Named("calls") }

// lent is what one call holds.
type lent struct {
	store.Settlement
	decision store.Decision
	sent     time.Time // when the request went out
}

// hold asks for n tokens and returns the call's decision and what it holds.
func hold(ctx context.Context, backend store.Store, key string, p []store.Limit, n int, timeout time.Duration) (lent, error) {
	held := store.Hold{}
	l := lent{Settlement: store.Settlement{Key: key, Limits: p, Held: n}, sent: time.Now()}
	var err error
	l.decision, err = backend.Take(ctx, store.Request{Key: key, Limits: p, Cost: n, Hold: &held, Timeout: timeout})
	l.Names = held.Names
	return l, err
}

// settle ends the hold, at a price.
func (l *lent) settle(ctx context.Context, backend store.Store, actual int, timeout time.Duration) error {
	l.Actual, l.Renew = actual, false
	return l.send(ctx, backend, timeout)
}

// renew keeps the hold.
func (l *lent) renew(ctx context.Context, backend store.Store, timeout time.Duration) error {
	l.Renew = true
	return l.send(ctx, backend, timeout)
}

func (l *lent) send(ctx context.Context, backend store.Store, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	all := []store.Settlement{l.Settlement}
	backend.(store.Holder).Settle(ctx, all) //nolint:errcheck // all stores here hold
	l.Settlement = all[0]
	return l.Err
}

// shortHold is how long a store keeps a hold at least that is not renewed.
const shortHold = time.Second

// wantHeld fails the test unless as many tokens of each limit are held.
func wantHeld(t testing.TB, backend store.Store, key string, p []store.Limit, want ...int) {
	t.Helper()
	d := take(t, backend, key, p, 0)
	for i, w := range want {
		if d.Held[i] != w {
			t.Errorf("key %s: %d tokens of limit %s are held; want %d", key, d.Held[i], p[i].Name, w)
		}
	}
}

// owed returns the whole tokens of the debt of a countable limit.
func owed(d store.Decision, i int) int {
	return int((d.Debts[i].Micros + historyToken - 1) / historyToken)
}
