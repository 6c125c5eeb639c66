package memstore_test

import (
	"testing"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		New: func(*testing.T) store.Store { return memstore.New(memstore.Config{}) },
	})
}
