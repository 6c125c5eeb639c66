package mirror

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/breaker"
)

const (
	maxKept  = 10_000 // settlements
	maxBatch = 256    // settlements that are sent at once
	maxSends = 3      // of one settlement, while its part of the shared store works
)

// A kept settlement was certainly not executed, and is sent when its part of the shared store
// is back. What it spent is an unreported debt until then. A request of its key waits for it:
// the shared store would charge twice what it was handed as knowledge first.
type kept struct {
	settlement store.Settlement
	part       *breaker.Part
	at         int64 // when it was made, on this node's clock
	sends      int
}

// A keeper has the settlements that are kept, the oldest first.
type keeper struct {
	count   atomic.Int64  // of those that wait or are being sent
	dropped atomic.Int64  // how many were never sent, though they had something to charge or release
	sending chan struct{} // has room for the one who sends

	mu      sync.Mutex
	waiting []kept
	keys    map[string]int // how many of each key wait or are being sent
}

func newKeeper() *keeper {
	return &keeper{sending: make(chan struct{}, 1), keys: make(map[string]int)}
}

// has reports whether settlements of a key wait or are being sent.
func (k *keeper) has(key string) bool {
	if k.count.Load() == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[key] > 0
}

// end counts a settlement no more.
func (k *keeper) end(one *kept) {
	key := one.settlement.Key
	if k.keys[key]--; k.keys[key] == 0 {
		delete(k.keys, key)
	}
	k.count.Add(-1)
}

// add keeps a settlement. If there are too many, the oldest is dropped.
func (k *keeper) add(one kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.waiting) == maxKept {
		k.dropped.Add(1)
		k.end(&k.waiting[0])
		k.waiting[0] = kept{}
		k.waiting = k.waiting[1:]
	}
	k.waiting = append(k.waiting, one)
	k.keys[one.settlement.Key]++
	k.count.Add(1)
}

// take returns the oldest that wait for which want returns true. They still count. A release
// is dropped if what it held has become a debt of the shared store by now.
func (k *keeper) take(now int64, want func(*kept) bool) (batch []kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rest := k.waiting[:0]
	for i := range k.waiting {
		switch one := &k.waiting[i]; {
		case one.late(now):
			k.end(one)
		case len(batch) < maxBatch && want(one):
			batch = append(batch, *one)
		default:
			rest = append(rest, *one)
		}
	}
	clear(k.waiting[len(rest):])
	k.waiting = rest
	return batch
}

// late reports whether nothing is to be done any more: all that is held has ended by itself,
// and it was not less than what was spent.
func (one *kept) late(now int64) bool {
	t := &one.settlement
	return t.Names != [store.MaxLimits]int64{} && t.Actual <= t.Held && now-one.at > 2*1000*gcra.Long.Length()
}

// sent takes in what became of a batch. What was not executed is put back; what was sent too
// often is dropped.
func (k *keeper) sent(batch []kept, executed []bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var back []kept
	for i := range batch {
		one := &batch[i]
		switch one.sends++; {
		case executed[i]:
			k.end(one)
		case one.sends < maxSends:
			back = append(back, *one)
		default:
			k.dropped.Add(1)
			k.end(one)
		}
	}
	k.waiting = append(back, k.waiting...)
}

// drop drops what is kept of a key.
func (k *keeper) drop(key string) {
	if !k.has(key) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = slices.DeleteFunc(k.waiting, func(one kept) bool {
		if one.settlement.Key != key {
			return false
		}
		k.end(&one)
		return true
	})
}

// flush sends the kept settlements for which want returns true, and returns an error if some
// were not executed. One flush at a time: when it returns, none of them is on its way.
func (s *Store) flush(ctx context.Context, timeout time.Duration, want func(*kept) bool) error {
	if s.kept.count.Load() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case s.kept.sending <- struct{}{}:
		defer func() { <-s.kept.sending }()
	case <-ctx.Done():
		return errUnsent
	}
	for {
		batch := s.kept.take(s.clock.Now(), want)
		if len(batch) == 0 {
			return nil
		}
		if err := s.sendKept(ctx, batch); err != nil {
			return err
		}
	}
}

// sendKept sends a batch once.
func (s *Store) sendKept(ctx context.Context, batch []kept) (failed error) {
	sent := make([]store.Settlement, len(batch))
	for i := range batch {
		sent[i] = batch[i].settlement
	}
	asked := s.settle(ctx, sent)
	executed := make([]bool, len(batch)) // or perhaps
	for i := range batch {
		one, t := &batch[i], &sent[i]
		executed[i] = true
		if t.Err == nil {
			now := s.clock.Now()
			one.part.Succeeded(t.Now, asked, now)
			s.memory.Settled(t, &one.settlement, true, asked, now, &one.part.Clock)
		} else if err := store.NewError(t.Err, t.Key); err.NotCharged {
			executed[i], failed = false, err
		}
	}
	s.kept.sent(batch, executed)
	return failed
}
