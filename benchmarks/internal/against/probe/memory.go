package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/ratelimit"
)

// A memoryOrder is a case, and for how long to measure it; 0 only prepares it.
type memoryOrder struct {
	Keys         int
	Distribution string
	Callers      int // each on a core of its own
	Limits       int
	Denied       bool
	Span         time.Duration
}

// A memoryWorker calls a limiter. It keeps the last limiter and its keys for the next case.
type memoryWorker struct {
	order   memoryOrder
	limiter *ratelimit.Limiter
	keys    load.Stream
	offsets []int // of the callers in keys
	slicer  *slicer
}

func (w *memoryWorker) SetUp(json.RawMessage) error { return nil }

func (w *memoryWorker) Do(args json.RawMessage) (any, error) {
	var o memoryOrder
	if err := json.Unmarshal(args, &o); err != nil {
		return nil, err
	}
	span := o.Span
	if o.Span = 0; span == 0 {
		return nil, w.prepare(o)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.Callers))
	if err := w.slicer.run(span); err != nil {
		return nil, err
	}
	return map[string]float64{"ns": w.slicer.result()}, nil
}

// prepare fills the limiter and draws the keys. The cost of filling is not measured.
func (w *memoryWorker) prepare(o memoryOrder) error {
	defer runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	same := w.limiter != nil && o.Keys == w.order.Keys && o.Limits == w.order.Limits && o.Denied == w.order.Denied
	if w.order = o; !same {
		w.limiter, w.keys = nil, nil
		if err := w.fill(); err != nil {
			return err
		}
	}
	// Twice as many draws as keys: nearly nine in ten of the keys occur.
	w.keys = load.NewStream(o.Distribution, o.Keys, max(2*o.Keys, 1<<12))
	w.offsets = make([]int, o.Callers)
	for i := range w.offsets {
		w.offsets[i] = len(w.keys) / load.KeySize * i / o.Callers * load.KeySize
	}
	w.slicer = &slicer{work: func(calls int) error { return w.call(0, calls) }, now: processorTime}
	if o.Callers > 1 {
		// Callers that wait for each other use no processor time: here the clock counts.
		start := time.Now()
		w.slicer = &slicer{work: w.callTogether, now: func() (time.Duration, error) { return time.Since(start), nil }}
	}
	return nil
}

// fill makes the first call of each key, which is allowed. It empties half of a bucket that
// must allow all calls, because a full one would be forgotten.
func (w *memoryWorker) fill() (err error) {
	tokens := 2_000_000_000
	if w.order.Denied {
		tokens = 1
	}
	if w.limiter, err = newLimiter(tokens, w.order.Limits, w.order.Keys); err != nil {
		return err
	}
	for _, n := range load.Shuffled(w.order.Keys) {
		result, err := w.limiter.AllowN(context.Background(), load.NewKey(n), max(tokens/2, 1))
		if err != nil || !result.Allowed {
			return fmt.Errorf("the first call of key %d was not allowed: %w", n, err)
		}
	}
	return nil
}

// call makes calls from where the caller stopped last.
func (w *memoryWorker) call(caller, calls int) error {
	ctx, limiter, keys, denied := context.Background(), w.limiter, w.keys, w.order.Denied
	offset, wrong := w.offsets[caller], 0
	for range calls {
		result, err := limiter.Allow(ctx, keys.At(offset))
		if err != nil || result.Allowed == denied {
			wrong++
		}
		if offset += load.KeySize; offset == len(keys) {
			offset = 0
		}
	}
	w.offsets[caller] = offset
	if wrong > 0 {
		return fmt.Errorf("%d of %d answers are wrong", wrong, calls)
	}
	return nil
}

// callTogether lets all callers make as many calls at once.
func (w *memoryWorker) callTogether(calls int) error {
	errs := make([]error, len(w.offsets))
	var wg sync.WaitGroup
	for caller := range w.offsets {
		wg.Go(func() { errs[caller] = w.call(caller, calls) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
