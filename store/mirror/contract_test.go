package mirror_test

import (
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
				New: func(t *testing.T) store.Store {
					s, err := mirror.New(c.shared(), c.config)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = s.Close() })
					return s
				},
				CoarseReset: true, // memstore's
			})
		})
	}
}
