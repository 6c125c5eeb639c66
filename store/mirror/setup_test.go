package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
)

// faulty is a shared store that can fail, hang, be slow and lose its data.
type faulty struct {
	store *memstore.Store
	probe *memstore.Store       // for probes: their Reset makes memstore ignore older knowledge of any key
	fault atomic.Pointer[error] // what requests return, if not nil
	hangs atomic.Bool           // requests wait for their timeout
	late  atomic.Bool           // requests that hang are charged
	trip  func() time.Duration  // how long each direction takes; nil: no time
	lost  atomic.Int64          // how often the data was lost

	asked  atomic.Int64 // requests that arrived
	denied atomic.Int64
}

func newFaulty() *faulty {
	return &faulty{store: memstore.New(memstore.Config{}), probe: memstore.New(memstore.Config{})}
}

func (f *faulty) of(key string) *memstore.Store {
	if strings.HasPrefix(key, "probe ") {
		return f.probe
	}
	return f.store
}

func (*faulty) SelfTimed() {}

// key returns another key after each loss of data: all buckets are full, and the clock goes on.
func (f *faulty) key(key string) string { return fmt.Sprintf("%d %s", f.lost.Load(), key) }

// askedKey is a context key. Its value, a *bool, is set if the shared store is asked.
type askedKey struct{}

func (f *faulty) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	f.asked.Add(1)
	if asked, ok := ctx.Value(askedKey{}).(*bool); ok {
		*asked = true
	}
	release := r.Release
	r.Release = slices.Clone(release)
	for i := range r.Release {
		r.Release[i].Key = f.key(r.Key)
	}
	if err := f.fail(ctx, r.Timeout); err != nil {
		if f.late.Load() {
			r.Key = f.key(r.Key)
			_, _ = f.store.Take(ctx, r)
		}
		return store.Decision{}, err
	}
	if f.trip != nil {
		time.Sleep(f.trip())
	}
	backend := f.of(r.Key)
	r.Key = f.key(r.Key)
	d, err := backend.Take(ctx, r)
	if !d.Allowed {
		f.denied.Add(1)
	}
	for i := range release {
		key := release[i].Key
		release[i] = r.Release[i]
		release[i].Key = key
	}
	if f.trip != nil {
		time.Sleep(f.trip())
	}
	return d, err
}

func (f *faulty) Reset(ctx context.Context, r store.Request) error {
	if err := f.fail(ctx, store.DefaultTimeout); err != nil {
		return err
	}
	return f.of(r.Key).Reset(ctx, store.Request{Home: r.Home, Key: f.key(r.Key), Limits: r.Limits})
}

func (*faulty) Holds() bool { return true }

// Settle settles under the keys of after the last loss of data.
func (f *faulty) Settle(ctx context.Context, all []store.Settlement) {
	f.asked.Add(1)
	err := f.fail(ctx, store.DefaultTimeout)
	if err != nil && !f.late.Load() {
		for i := range all {
			all[i].Err = err
		}
		return
	}
	if f.trip != nil {
		time.Sleep(f.trip())
	}
	for i := range all {
		one := all[i : i+1]
		key := one[0].Key
		one[0].Key = f.key(key)
		f.of(key).Settle(ctx, one)
		if one[0].Key = key; err != nil {
			one[0].Err = err
		}
	}
	if f.trip != nil {
		time.Sleep(f.trip())
	}
}

func (f *faulty) fail(ctx context.Context, timeout time.Duration) error {
	if f.hangs.Load() {
		select {
		case <-ctx.Done():
			return store.NewError(ctx.Err(), "")
		case <-time.After(timeout):
			return &store.Error{Class: store.ClassTimeout, Err: context.DeadlineExceeded}
		}
	}
	if err := f.fault.Load(); err != nil {
		return *err
	}
	return nil
}

var errRefused = error(&store.Error{Class: "connect", NotCharged: true, Err: errors.New("connection refused")})

func (f *faulty) down() { f.fault.Store(&errRefused) }

func (f *faulty) up() { f.fault.Store(nil); f.hangs.Store(false) }

func newMirror(t testing.TB, shared store.Store, c mirror.Config) *mirror.Store {
	t.Helper()
	s, err := mirror.New(shared, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// policy returns the limits of requests.
func policy(t testing.TB, limits ...ratelimit.Limit) []store.Limit {
	t.Helper()
	return testkit.Limits(t, limits...)
}

// take makes one request with the default timeout.
func take(t testing.TB, s store.Store, key string, p []store.Limit, cost int) store.Decision {
	t.Helper()
	d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Timeout: store.DefaultTimeout})
	if err != nil {
		t.Fatalf("Take returned an error: %v", err)
	}
	return d
}

// offer makes requests of cost 1 at an interval, during a time. It returns how many were
// admitted, and how long the slowest took.
func offer(t testing.TB, s store.Store, p []store.Limit, every, during time.Duration) (admitted int, slowest time.Duration) {
	t.Helper()
	for start := time.Now(); time.Since(start) < during; time.Sleep(every) {
		before := time.Now()
		if take(t, s, "key", p, 1).Allowed {
			admitted++
		}
		slowest = max(slowest, time.Since(before))
	}
	return admitted, slowest
}

// check fails the test unless a limiter can turn the decision into a result.
func check(t *testing.T, p []store.Limit, cost int, d store.Decision) {
	t.Helper()
	denied := false
	for i := range p {
		b := &p[i]
		debt := d.Debts[i]
		if twice := b.Add(b.Capacity(), b.Capacity()); debt.Micros < 0 || debt.Frac >= b.Denominator() || twice.Less(debt) {
			t.Fatalf("a debt of %v was reported, of at most %v", debt, twice)
		}
		denied = denied || b.RetryAfter(debt, cost) > 0
		if own, ok := b.Cost(cost); d.Allowed && (!ok || debt.Less(own)) {
			t.Fatalf("a request of cost %d was admitted with a debt of %v", cost, debt)
		}
	}
	if !d.Allowed && !denied {
		t.Fatalf("a request of cost %d was denied with the debts %v, which leave room for it", cost, d.Debts)
	}
}

// holding is take for a request that holds its cost. It returns the names as well.
func holding(t testing.TB, s store.Store, key string, p []store.Limit, cost int) (store.Decision, [store.MaxLimits]int64) {
	t.Helper()
	hold := new(store.Hold)
	d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Hold: hold, Timeout: store.DefaultTimeout})
	if err != nil {
		t.Fatalf("Take returned an error: %v", err)
	}
	return d, hold.Names
}

// settle settles one hold.
func settle(t testing.TB, s *mirror.Store, one store.Settlement) store.Settlement {
	t.Helper()
	all := []store.Settlement{one}
	s.Settle(t.Context(), all)
	return all[0]
}

func left(p []store.Limit, d store.Decision) int { return p[0].Remaining(d.Debts[0]) }

// pair returns two nodes on one shared store. The first can be cut off.
func pair(t *testing.T, c mirror.Config) (here, there *mirror.Store, cut *atomic.Bool) {
	t.Helper()
	shared := newFaulty()
	shared.trip = func() time.Duration { return time.Millisecond }
	l := &link{faulty: shared, t: t, ideal: &ideal{token: time.Hour}, debts: new(atomic.Int64)}
	time.Sleep(time.Hour) // the shared clock does not start at 0
	return newMirror(t, l, c), newMirror(t, shared, c), &l.cut
}
