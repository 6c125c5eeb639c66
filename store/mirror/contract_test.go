package mirror_test

import (
	"context"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/storetest"
)

// plain hides all but the methods of a store: it needs a deadline and a guard.
type plain struct{ store.Store }

// TestContract: in front of a store that keeps the contract, the mirror keeps it to the last
// fraction of every debt, whether it asks or denies by itself.
func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		config mirror.Config
		shared func() store.Store
	}{
		"one node":     {mirror.Config{}, func() store.Store { return memstore.New(memstore.Config{}) }},
		"three nodes":  {mirror.Config{Nodes: 3}, func() store.Store { return plain{memstore.New(memstore.Config{})} }},
		"small memory": {mirror.Config{MaxKeys: 5}, func() store.Store { return memstore.New(memstore.Config{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{
				New: func(t *testing.T) store.Store { return plain{newMirror(t, c.shared(), c.config)} },
			})
		})
	}
}

// TestContractOfHolds: the same with holds. A denial by knowledge shows no more than what was
// spent when it was observed: what has ended since, and what is held, is known to the shared
// store alone.
func TestContractOfHolds(t *testing.T) {
	for name, nodes := range map[string]int{"one node": 1, "three nodes": 3} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Harness{
				New: func(t *testing.T) store.Store {
					shared := memstore.New(memstore.Config{})
					return witness{newMirror(t, shared, mirror.Config{Nodes: nodes}), shared, t}
				},
				Histories: 300,
			})
		})
	}
}

// witness compares the denials by knowledge, in the histories of the model, with what the shared store has, and returns that.
type witness struct {
	*mirror.Store
	shared *memstore.Store
	t      *testing.T
}

func (w witness) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := w.Store.Take(ctx, r)
	if err != nil || d.Source != store.FromKnowledge || !strings.HasPrefix(r.Key, "model ") {
		return d, err
	}
	truth, err := w.shared.Take(ctx, store.Request{Home: r.Home, Key: r.Key, Limits: r.Limits})
	need, denied := r.Cost, false
	if r.Least > 0 {
		need = r.Least
	}
	for i := range r.Limits {
		l := &r.Limits[i]
		if truth.Debts[i].Less(d.Debts[i]) {
			w.t.Errorf("%v owes %v, and was reported to owe %v", l, truth.Debts[i], d.Debts[i])
		}
		denied = denied || !l.Loan() && l.RetryAfter(truth.Debts[i], need) > 0
	}
	if !denied && need >= 0 {
		w.t.Errorf("a cost of %d was denied by knowledge, for which there is room but for what is held: %v", need, truth)
	}
	truth.Allowed, truth.Source = false, store.FromKnowledge
	return truth, err
}
