package breaker

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/keyrate/keyrate/store"
)

// Probes are 80 to 120 ms apart: with a hundred nodes about a thousand a second, and not all
// at once. While a probe hangs, a recovery goes unnoticed, so a step of it takes at most
// maxProbe.
const (
	minPause    = 80 * time.Millisecond
	pauseSpread = 40 * time.Millisecond
	maxProbe    = time.Second
)

// watch reports an outage, and probes the part until it is back or the breaker is closed.
func (p *Part) watch(o outage) {
	b := p.breaker
	defer b.probing.Done()
	defer close(o.done)
	if o.prev != nil {
		<-o.prev // it may still report that the part came back
	}
	b.transition(o.began)
	for passed := 0; passed < o.probes; {
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(minPause + rand.N(pauseSpread)):
		}
		if passed++; p.probe(b.ctx) != nil {
			passed = 0
		}
	}
	if b.ctx.Err() == nil {
		b.transition(p.shut())
	}
}

// probe makes real decisions through the part. It waits for an answer as long as the most
// patient request: a store that is slow, but quick enough for that one, is not kept out. A
// part that has no keys any more passes, such as a primary of a Cluster whose slots moved.
func (p *Part) probe(ctx context.Context) error {
	key, ok := p.Key()
	if !ok {
		if p.wanted.Swap(false) {
			return errNoKey // it has keys all the same
		}
		return nil
	}
	_, err := Probe(ctx, observed{p.breaker.shared, p}, key, min(p.breaker.Timeout(), maxProbe))
	return err
}

var errNoKey = errors.New("mirror: no key was found with which to probe a part of the shared store")

// observed is the shared store, whose answers show the clock of a part.
type observed struct {
	store.Store
	part *Part
}

func (o observed) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	b := o.part.breaker
	asked := b.clock.Now()
	d, err := o.Store.Take(ctx, r)
	if err == nil {
		if by := o.part.Clock.Observe(d.Now, asked, b.clock.Now()); by != 0 {
			b.step(o.part.Name, by)
		}
	}
	return d, err
}

// Probe makes real decisions through a store. full reports that the store has no room for
// the key: it decides all the same.
func Probe(ctx context.Context, backend store.Store, key string, timeout time.Duration) (full bool, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	err = store.ProbeKey(ctx, backend, key, timeout)
	if errors.Is(err, store.ErrOverflow) {
		return true, nil
	}
	return false, err
}

var errPanic = &store.Error{Class: store.ClassPanic, Err: errors.New("mirror: the store panicked")}

// maxTries bounds the search for a key of a part. A part with a single slot of the 16,384 of
// a Cluster is missed once in four hundred times.
const maxTries = 100_000

// Key returns a random key that the part has.
func (p *Part) Key() (key string, ok bool) {
	if p.Name == "" {
		return RandomKey(), true
	}
	if key, ok = p.probeKey.Load().(string); ok && p.breaker.name(key) == p.Name {
		return key, true
	}
	for range maxTries {
		if key = RandomKey(); p.breaker.name(key) == p.Name {
			p.probeKey.Store(key)
			return key, true
		}
	}
	return "", false
}

// RandomKey returns a key that no client has.
func RandomKey() string { return "probe " + crand.Text() }
