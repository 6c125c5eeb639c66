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
	maxSends = 3      // of one settlement, while its part of the shared store works otherwise
)

// A kept settlement was certainly not executed, and is sent when its part of the shared store
// is back. What it spent is an unreported debt until then. A request of its key, or of its home,
// waits for it: the shared store would charge twice what it was handed as knowledge first. A
// hand-over, which charges what was admitted alone, is one as well.
type kept struct {
	settlement store.Settlement
	owner      owner
	part       *breaker.Part
	at         int64 // when it was made, on this node's clock
	token      int64 // of a hand-over: the time in which a token drains from the share; otherwise 0
	sends      int
}

// An owner is a home or, for a key without one, the key: one of them is "".
type owner struct{ home, key string }

func ownerOf(home, key string) owner {
	if home != "" {
		key = ""
	}
	return owner{home, key}
}

// A keeper has the settlements that are kept, the oldest first.
type keeper struct {
	count   atomic.Int64  // of those that wait or are being sent
	dropped atomic.Int64  // how many were never sent, though they had something to charge or release
	sending chan struct{} // has room for the one who sends

	mu      sync.Mutex
	waiting []kept
	owners  map[owner]int // how many of each wait or are being sent
}

func newKeeper() *keeper {
	return &keeper{sending: make(chan struct{}, 1), owners: make(map[owner]int)}
}

// has reports whether settlements of an owner wait or are being sent.
func (k *keeper) has(o owner) bool {
	if k.count.Load() == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.owners[o] > 0
}

// end counts a settlement no more.
func (k *keeper) end(one *kept) {
	if k.owners[one.owner]--; k.owners[one.owner] == 0 {
		delete(k.owners, one.owner)
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
	k.owners[one.owner]++
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
// and it was not less than what was spent. A hand-over becomes less: in place of what has drained
// from the share, as much may have been admitted alone since, and be handed over as well.
func (one *kept) late(now int64) bool {
	t := &one.settlement
	if one.token > 0 {
		drained := min((now-one.at)/one.token, int64(t.Actual))
		t.Actual, one.at = t.Actual-int(drained), one.at+drained*one.token
		return t.Actual == 0
	}
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
		switch {
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

// drop drops what is kept of a key that is reset.
func (k *keeper) drop(r *store.Request) {
	if !k.has(ownerOf(r.Home, r.Key)) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = slices.DeleteFunc(k.waiting, func(one kept) bool {
		if one.settlement.Home != r.Home || one.settlement.Key != r.Key {
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
	works := make([]bool, len(batch))
	for i := range batch {
		works[i] = batch[i].part.Works()
	}
	asked := s.settle(ctx, sent)
	executed := make([]bool, len(batch)) // or perhaps
	var down []*breaker.Part
	for i := range batch {
		one, t := &batch[i], &sent[i]
		executed[i] = true
		if t.Err == nil {
			now := s.clock.Now()
			one.part.Succeeded(t.Now, asked, now)
			s.memory.Settled(t, &one.settlement, true, asked, now, &one.part.Clock)
			continue
		}
		err := store.NewError(t.Err, t.Key)
		if epoch, up := one.part.Allow(0); up && !slices.Contains(down, one.part) {
			down = append(down, one.part)
			one.part.Failed(epoch, err.Class, asked)
		}
		if err.NotCharged {
			executed[i], failed = false, err
			if works[i] {
				one.sends++
			}
		}
	}
	s.kept.sent(batch, executed)
	return failed
}
