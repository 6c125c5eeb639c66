package main

import (
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestCallersEnterEachAnswer: the ledger has all of them, and the callers end with their input.
func TestCallersEnterEachAnswer(t *testing.T) {
	const most = 100
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(most), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ledger")
	stdin, paces := io.Pipe()
	ctx, stop, err := startCallers(t.Context(), limiter, file, stdin)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(paces, 20_000)
	var got tally
	for end := time.Now().Add(time.Minute); got[denied] < 2*most && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, err = readLedger(file); err != nil {
			t.Fatal(err)
		}
	}
	paces.Close()
	<-ctx.Done()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got[admitted] != most || got[failed] != 0 || got[denied] < 2*most || got.share(store.FromStore) != 100 {
		t.Errorf("%d admitted, %d denied, %d failed, %.1f %% by the store", got[admitted], got[denied], got[failed], got.share(store.FromStore))
	}
}
