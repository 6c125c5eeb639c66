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

// Failed counts an attempt that failed with an error of a class. An attempt that timed out
// proves nothing if it lasted less than half of the usual timeout, unless no attempt was
// answered for the whole of it.
func (p *Part) Failed(epoch uint64, class string, asked int64) {
	usual, now := min(p.breaker.longest.Load(), int64(store.DefaultTimeout)), p.breaker.clock.Now()
	if class == store.ClassTimeout && now-asked < usual/2 {
		if p.unanswered.CompareAndSwap(0, asked) || now-p.unanswered.Load() < usual {
			return
		}
	}
	if o, opened := p.open(epoch, class); opened {
		go p.watch(o)
	}
}

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
	if b.hooks.Back(b.ctx, p); b.ctx.Err() == nil {
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

// observed is the shared store, asked for a part.
type observed struct {
	store.Store
	part *Part
}

func (o observed) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	asked := o.part.breaker.clock.Now()
	d, err := o.Store.Take(ctx, r)
	if err == nil {
		o.part.Succeeded(d.Now, asked, o.part.breaker.clock.Now())
	}
	return d, err
}

// Probe makes real decisions through a store. full reports that the store has no room for
// the key: it decides all the same.
func Probe(ctx context.Context, s store.Store, key string, timeout time.Duration) (full bool, err error) {
	err = Try(func() error { return store.Probe(ctx, s, key, timeout) })
	if errors.Is(err, store.ErrOverflow) {
		return true, nil
	}
	return false, err
}

// Try returns the error of f, or one of [store.ClassPanic] if f panics.
func Try(f func() error) (err error) {
	if p := store.Try(func() { err = f() }); p != nil {
		return &store.Error{Class: store.ClassPanic, Err: p}
	}
	return err
}

// maxTries bounds the search for a key of a part. A part with a single slot of the 16,384 of
// a Cluster is missed once in four hundred times.
const maxTries = 100_000

// Key returns a random key that the part has.
func (p *Part) Key() (key string, ok bool) {
	if p.Name == "" {
		return RandomKey(), true
	}
	if key, ok = p.probeKey.Load().(string); ok && p.breaker.name("", key) == p.Name {
		return key, true
	}
	for range maxTries {
		if key = RandomKey(); p.breaker.name("", key) == p.Name {
			p.probeKey.Store(key)
			return key, true
		}
	}
	return "", false
}

// RandomKey returns a key that no client has.
func RandomKey() string { return "probe " + crand.Text() }
