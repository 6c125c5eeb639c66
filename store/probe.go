package store

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// ErrOverflow is what [Probe] returns for a store that has no room for a bucket
// of the probe's own: it decides, but nothing can be proved.
var ErrOverflow = errors.New("ratelimit: the store is full and decided by a bucket shared with other keys")

// probe is a limit of one token. It is slow enough that the way to an honest store cannot
// blur the answer, and quick enough that what a probe leaves in a bucket of a full store,
// which keys share, is soon gone.
var probe = []Limit{must(NewLimit("keyrate probe", must(gcra.NewRate(1, probePeriod, 1))))}

const probePeriod = 10 * time.Second

// Probe makes real decisions with a key and checks their outcome: the first call is
// admitted, the second denied with the right wait, and a reset fills the bucket. A store
// that admits everything, denies everything or merely answers a ping does not pass. Each
// step takes at most timeout. It is for [Checker] implementations that try their parts one
// by one.
//
// The key selects the part of the store. No other caller may use it, so it should be
// random; "" stands for a random key.
func Probe(ctx context.Context, s Store, key string, timeout time.Duration) error {
	if key == "" {
		key = "probe " + rand.Text()
	}
	step := func(cost int) (Decision, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return s.Take(ctx, Request{Key: key, Limits: probe, Cost: cost, Timeout: timeout})
	}
	wrong := func(what string) error {
		return &Error{Class: ClassWrong, Err: errors.New(what)}
	}

	start := time.Now()
	first, err := step(1)
	if err != nil {
		return err
	}
	if first.Overflow {
		return ErrOverflow
	}
	bucket := &probe[0]
	if !first.Allowed || first.Debts[0] != bucket.Capacity() {
		return wrong("a full bucket did not admit a call, or did not charge it")
	}
	second, err := step(1)
	if err != nil {
		return err
	}
	if second.Overflow {
		return ErrOverflow
	}
	wait := bucket.RetryAfter(second.Debts[0], 1)
	elapsed := time.Since(start)
	if elapsed > probePeriod/2 {
		return &Error{Class: ClassTimeout, Err: errors.New("it is too slow to be tried")}
	}
	// A second of grace: the store's clock need not run exactly as ours does.
	if second.Allowed || wait > probePeriod || wait < probePeriod-elapsed-time.Second {
		return wrong("an empty bucket admitted a call, or reported the wrong wait")
	}
	resetCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.Reset(resetCtx, Request{Key: key, Limits: probe}); err != nil {
		return err
	}
	third, err := step(0)
	if err != nil {
		return err
	}
	if third.Overflow {
		return ErrOverflow
	}
	if third.Debts[0] != (gcra.Debt{}) {
		return wrong("a reset did not fill the bucket")
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return v
}
