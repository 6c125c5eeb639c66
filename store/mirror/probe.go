package mirror

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Change tells that the shared store went away or came back.
type Change struct {
	// Away says which: from now on calls are decided without the shared store, or
	// by it again.
	Away bool
	// Part is the part of the shared store that it is about, if that is
	// [ratelimit.Partitioned]: such as one primary of a Cluster. "" is all of it.
	Part string
	// Class is the class of the failure because of which it counts as away, or did:
	// see [ratelimit.StoreError]. Like those, it is fit for a metric label.
	Class string
	// At is when it happened.
	At time.Time
	// Took is how long the shared store was away; 0 if Away.
	Took time.Duration
}

// Between two proofs pass 80 to 120 ms. With a hundred nodes that is some thousand
// proofs a second, and not all of them at once.
const (
	probeLeast  = 80 * time.Millisecond
	probeSpread = 40 * time.Millisecond
)

// lookOut tells of the outage, and looks for a part of the shared store until it is
// back or the mirror is closed. It has as much time for each answer as the most patient
// of the callers: one that is slow, and fast enough for them, is not kept away.
func (s *Store) lookOut(p *part, c Change, t turn) {
	defer close(t.over)
	if t.prev != nil {
		<-t.prev // it may still be telling that the store came back
	}
	c.Part = p.name
	s.tell(c)
	wait := time.NewTimer(0)
	defer wait.Stop()
	<-wait.C
	for proofs := 0; ; {
		wait.Reset(probeLeast + rand.N(probeSpread))
		select {
		case <-t.ctx.Done():
			return
		case <-wait.C:
		}
		if s.prove(t.ctx, p) != nil {
			proofs = 0
			continue
		}
		if proofs++; proofs >= t.proofs && t.ctx.Err() == nil {
			c := p.close()
			c.Part = p.name
			s.tell(c)
			return
		}
	}
}

// longestProof is what a step of a proof may take: while one hangs, nobody looks whether
// the store is well again.
const longestProof = time.Second

// prove makes real decisions through a part of the shared store. One that has no keys
// any more has nothing to be away for: in a Cluster, a primary whose slots are another's
// now.
func (s *Store) prove(ctx context.Context, p *part) error {
	key, ok := s.parts.keyOf(p)
	if !ok {
		if p.wanted.Swap(false) {
			return errNoKey // it has keys all the same
		}
		return nil
	}
	_, err := proves(ctx, watched{s.asked, s, p}, key, min(time.Duration(s.patience.Load()), longestProof))
	return err
}

// proves makes real decisions through a store. One that is full decides all the same.
func proves(ctx context.Context, store ratelimit.Store, key string, timeout time.Duration) (full bool, err error) {
	defer recovered(&err)
	err = ratelimit.ProveKey(ctx, store, key, timeout)
	if errors.Is(err, ratelimit.ErrOverflow) {
		return true, nil
	}
	return false, err
}

var errNoKey = errors.New("mirror: no key was found with which to prove a part of the shared store")

// mostTries bounds the search for a key of a part: one that has a single slot of the
// 16,384 of a Cluster is missed once in four hundred times.
const mostTries = 100_000

// probeKey returns a random key.
func probeKey() string { return "probe " + crand.Text() }

// keyOf returns a random key of which a part has the buckets.
func (p *parts) keyOf(wanted *part) (key string, ok bool) {
	if wanted.name == "" {
		return probeKey(), true
	}
	if key, ok = wanted.key.Load().(string); ok && p.name(key) == wanted.name {
		return key, true
	}
	for range mostTries {
		if key = probeKey(); p.name(key) == wanted.name {
			wanted.key.Store(key)
			return key, true
		}
	}
	return "", false
}

// tell calls OnChange and waits for it; on a goroutine of its own, which it may end.
func (s *Store) tell(c Change) {
	if s.onChange == nil {
		return
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		defer func() {
			if recover() != nil {
				s.panics.Add(1)
			}
		}()
		s.onChange(c)
	}()
	<-told
}
