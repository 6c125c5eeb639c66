package memstore_test

import (
	"context"
	"testing"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// A singleHolder holds and settles through the fast path wherever it can.
type singleHolder struct{ *memstore.Store }

func (s singleHolder) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	s.Settle(ctx, r.Release)
	r.Release = nil
	if len(r.Limits) != 1 || r.Home != "" || r.Hold == nil || r.Hold.Spend || r.Known != nil || r.Least > 0 {
		return s.Store.Take(ctx, r)
	}
	if d, err = s.Store.Take(ctx, store.Request{Key: "another", Limits: r.Limits}); err != nil { // for its instant
		return d, err
	}
	r.Hold.Names = [store.MaxLimits]int64{}
	r.Hold.Names[0], d.Debts[0], d.Held[0], d.Allowed = s.HoldOne(r.Key, &r.Limits[0], r.Cost)
	return d, nil
}

func (s singleHolder) Settle(ctx context.Context, all []store.Settlement) {
	for i := range all {
		t := &all[i]
		if len(t.Limits) != 1 || t.Home != "" || t.Names[0] == 0 || t.Renew {
			s.Store.Settle(ctx, all[i:i+1])
			continue
		}
		t.Lost = s.SettleOne(t.Key, &t.Limits[0], t.Names[0], t.Held, t.Actual)
		now := []store.Settlement{{Key: t.Key, Limits: t.Limits}}
		s.Store.Settle(ctx, now) // charges nothing, for the debt
		t.Err, t.Now, t.Debts[0] = now[0].Err, now[0].Now, now[0].Debts[0]
	}
}

// TestContractOfOne is the contract for [store.SingleHolder].
func TestContractOfOne(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		New:       func(*testing.T) store.Store { return singleHolder{memstore.New(memstore.Config{})} },
		Histories: 300,
	})
}
