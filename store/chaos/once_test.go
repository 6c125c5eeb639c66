package chaos_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// retryingHolder settles again without an answer, although the settlement may have been
// executed.
type retryingHolder struct{ store.Store }

func (s retryingHolder) Holds() bool { return true }

func (s retryingHolder) Settle(ctx context.Context, all []store.Settlement) {
	for range 5 {
		if s.Store.(store.Holder).Settle(ctx, all); all[0].Err == nil || ctx.Err() != nil { //nolint:errcheck // it holds
			return
		}
	}
}

// TestSettleOnce: the network loses replies to settlements that were executed. None is
// executed twice, and each with an answer once.
func TestSettleOnce(t *testing.T) {
	c := settleOverLosses(t, func(s store.Store) store.Store { return s })
	t.Logf("%+v", c)
	if c.failed < 50 || c.unanswered < 20 {
		t.Error("too few replies were lost for a proof")
	}
	if c.twice > 0 || c.never > 0 {
		t.Errorf("%d settlements were executed twice, and %d with an answer were not", c.twice, c.never)
	}
}

// TestSettleOnceFindsRetries is the control.
func TestSettleOnceFindsRetries(t *testing.T) {
	if c := settleOverLosses(t, func(s store.Store) store.Store { return retryingHolder{s} }); c.twice == 0 {
		t.Errorf("%+v: no settlement was executed twice", c)
	}
}

type settlements struct {
	answered, failed int
	unanswered       int // of those that failed: executed all the same
	twice, never     int // executed twice, or not although there was an answer
}

// settleOverLosses makes two holds of 3 and 5 tokens for each key, and then settles the first
// for 1 token over a network that loses replies. What is held and owed afterwards shows how
// often that was executed.
func settleOverLosses(t *testing.T, with func(store.Store) store.Store) settlements {
	const callers, keys = 64, 1500
	seed := seedOf(t)
	server := chaos.StartServer(t)
	proxy := chaos.StartProxy(t, server.Addr, seed)
	proxy.Lose(0, 8)
	p := policyOf(t, countable)
	direct, lossy := patientStore(t, server), with(patientStore(t, proxy))
	var c settlements
	var mu sync.Mutex
	var next atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := next.Add(1); i <= keys; i = next.Add(1) {
				key := fmt.Sprint("key ", i)
				first, err := hold(t.Context(), direct, key, p, 3, patience)
				if err != nil {
					t.Error(err)
				}
				if _, err := hold(t.Context(), direct, key, p, 5, patience); err != nil {
					t.Error(err)
				}
				failed := first.settle(t.Context(), lossy, 1, 40*time.Millisecond) != nil
				if failed { // what Redis received is executed by now
					time.Sleep(20 * time.Millisecond)
				}
				d := take(t, direct, key, p, 0)
				if time.Since(first.sent) > shortHold {
					continue // the holds may have ended by themselves
				}
				executed := owed(d, 0)
				if d.Held[0] != 8-3*min(executed, 1) {
					executed = 2 // it took tokens of the other hold, or none of its own
				}
				mu.Lock()
				switch {
				case executed > 1:
					c.twice++
				case failed && executed == 1:
					c.unanswered++
				case !failed && executed == 0:
					c.never++
				}
				if failed {
					c.failed++
				} else {
					c.answered++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return c
}
