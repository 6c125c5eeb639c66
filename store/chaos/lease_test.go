package chaos_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/lease"
)

// leased returns a store that leases in front of another one.
func leased(t testing.TB, shared store.Store) *lease.Store {
	t.Helper()
	s, err := lease.New(shared, lease.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// timed stamps decisions by a lease with this machine's clock, which is that of Redis, before the
// call: a node knows Redis' clock to a trip.
type timed struct {
	store.Store
	local, denied *atomic.Int64
}

func (s timed) SelfTimed() {}

func (s timed) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	now := time.Now().UnixMicro()
	d, err := s.Store.Take(ctx, r)
	if d.Source == store.FromLease {
		d.Now = now
		s.local.Add(1)
	}
	if err == nil && !d.Allowed {
		s.denied.Add(1)
	}
	return d, err
}

// TestP1LeasesOnRedis: nodes with leases of a real Redis admit in no window more than the limit,
// over a network that is slow and loses messages, when others flood the key as well.
func TestP1LeasesOnRedis(t *testing.T) {
	t.Parallel()
	worst, local := leasesOnRedis(t, 300, func(_ int, s store.Store) store.Store { return leased(t, s) })
	if worst > 0 || local < 300 {
		t.Errorf("%d tokens over the limit; %d were spent of leases", worst, local)
	}
}

// TestP1FindsLocalLimits is the control: nodes that decide some calls by themselves.
func TestP1FindsLocalLimits(t *testing.T) {
	t.Parallel()
	if worst, _ := leasesOnRedis(t, 0, func(_ int, s store.Store) store.Store { return &generous{Store: s} }); worst == 0 {
		t.Error("calls beyond the limit were not found")
	}
}

// generous admits one in four of the calls that are denied.
type generous struct {
	store.Store
	denied atomic.Int64
}

func (s *generous) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := s.Store.Take(ctx, r)
	if err == nil && !d.Allowed && s.denied.Add(1)%4 == 0 {
		d.Allowed = true
	}
	return d, err
}

// leasesOnRedis returns how many tokens are too many in the worst window of five nodes, and how
// many were spent of leases. Four of them stay below the limit together. The fifth comes when
// they have spent the least of leases, and floods the key. The clock of a call is read before it is decided, so windows may be
// too short by a few milliseconds: only what exceeds the tokens of 20 ms counts.
func leasesOnRedis(t *testing.T, least int64, node func(int, store.Store) store.Store) (worst, local int64) {
	t.Helper()
	seed := seedOf(t)
	server := chaos.StartServer(t)
	limit := ratelimit.PerSecond(1000).WithBurst(300)
	var spent, denied atomic.Int64
	var loads []*load
	start := func(i, callers int, pause time.Duration) {
		proxy := chaos.StartProxy(t, server.Addr, seed+uint64(i))
		proxy.Delay(2 * time.Millisecond)
		proxy.Lose(400, 400)
		loads = append(loads, startLoad(t, timed{node(i, storeAt(t, proxy)), &spent, &denied}, 50*time.Millisecond, limit, []string{"key"}, callers, pause))
	}
	for i := range 4 {
		start(i, 8, 36*time.Millisecond)
	}
	// A slow machine takes longer to show something.
	wait := func(enough func() bool) {
		time.Sleep(full(2*time.Second, 7*time.Second))
		for end := time.Now().Add(20 * time.Second); !enough() && time.Now().Before(end); {
			time.Sleep(100 * time.Millisecond)
		}
	}
	wait(func() bool { return spent.Load() >= least })
	start(4, 32, time.Millisecond)
	wait(func() bool { return denied.Load() >= 400 })
	w := newWindows(limit)
	for _, l := range loads {
		l.end()
		w.calls = append(w.calls, l.windows["key"].calls...)
	}
	return max(w.worst()-int64(limit.Rate)/50, 0), spent.Load()
}

// TestP9ReturnsOnce: the network loses replies to requests that give back leases. None is executed
// twice: what another one holds in the same slot of time stays.
func TestP9ReturnsOnce(t *testing.T) {
	t.Parallel()
	if less, lost := returnsOverLosses(t, func(s store.Store) store.Store { return s }); less > 0 || lost < 10 {
		t.Errorf("of %d keys, less was held than another one holds; %d replies were lost", less, lost)
	}
}

// TestP9FindsRetries is the control.
func TestP9FindsRetries(t *testing.T) {
	t.Parallel()
	if less, lost := returnsOverLosses(t, func(s store.Store) store.Store { return retryingHolder{s} }); less == 0 {
		t.Errorf("returns that are executed twice were not found; %d replies were lost", lost)
	}
}

// returnsOverLosses holds tokens of each key directly, and leases others over a network that loses
// replies. It returns of how many keys less was held then than was held directly.
func returnsOverLosses(t *testing.T, with func(store.Store) store.Store) (less int64, lost int) {
	t.Helper()
	const directly, keys = 1000, 96
	server := chaos.StartServer(t)
	direct := patientStore(t, server)
	p := policyOf(t, countable)
	var found, replies atomic.Int64
	var all sync.WaitGroup
	few := make(chan struct{}, 12)
	for i := range keys {
		all.Go(func() {
			few <- struct{}{}
			defer func() { <-few }()
			proxy := chaos.StartProxy(t, server.Addr, uint64(i))
			node := leased(t, with(storeAt(t, proxy)))
			key := fmt.Sprint("key ", i)
			for range 100 {
				_, _ = node.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: store.DefaultTimeout}) // may be late
				time.Sleep(time.Millisecond)
			}
			mine, err := hold(t.Context(), direct, key, p, directly, patience)
			if err != nil {
				t.Error(err)
			}
			proxy.Lose(0, 2)
			for time.Since(mine.sent) < 800*time.Millisecond { // by then the lease has come back
				if d := take(t, direct, key, p, 0); d.Held[0] < directly && time.Since(mine.sent) < 950*time.Millisecond {
					found.Add(1)
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			_, n := proxy.Lost()
			replies.Add(int64(n))
		})
	}
	all.Wait()
	return found.Load(), int(replies.Load())
}

// TestP10ScriptFlush: Redis loses the script every few milliseconds. No call is charged twice, and
// none is free.
func TestP10ScriptFlush(t *testing.T) {
	t.Parallel()
	if admitted, charged := scriptsLost(t, func(s store.Store) store.Store { return s }); admitted != charged {
		t.Errorf("%d tokens were admitted, and %d charged", admitted, charged)
	}
}

// TestP10FindsRetries is the control: requests that are sent twice.
func TestP10FindsRetries(t *testing.T) {
	t.Parallel()
	if admitted, charged := scriptsLost(t, func(s store.Store) store.Store { return twice{s} }); admitted >= charged {
		t.Errorf("%d tokens were admitted, and %d charged", admitted, charged)
	}
}

type twice struct{ store.Store }

func (s twice) Holds() bool { return true }

func (s twice) Settle(ctx context.Context, all []store.Settlement) {
	s.Store.(store.Holder).Settle(ctx, all) //nolint:errcheck // it holds
}

func (s twice) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	again := r
	again.Hold, again.Release = nil, nil
	_, _ = s.Store.Take(ctx, again)
	return s.Store.Take(ctx, r)
}

// scriptsLost returns how many tokens two nodes admitted while the script was lost again and again, and
// how many are charged when both are closed.
func scriptsLost(t *testing.T, with func(store.Store) store.Store) (admitted, charged int) {
	t.Helper()
	server := chaos.StartServer(t)
	direct := patientStore(t, server)
	var nodes []*lease.Store
	var loads []*load
	for range 2 {
		nodes = append(nodes, leased(t, with(patientStore(t, server))))
		loads = append(loads, startLoad(t, nodes[len(nodes)-1], patience, countable, []string{"key"}, 4, 500*time.Microsecond))
	}
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(5 * time.Millisecond) {
		server.Do("SCRIPT", "FLUSH")
	}
	for i, l := range loads {
		l.end()
		_ = nodes[i].Close()
		admitted += l.windows["key"].tokens()
	}
	d := take(t, direct, "key", policyOf(t, countable), 0)
	if d.Held[0] != 0 {
		t.Errorf("%d tokens are held", d.Held[0])
	}
	return admitted, owed(d, 0)
}

// TestP10LostData: Redis loses all data while leases are out. No more is admitted than the burst,
// and what Redis had of it when it lost that.
func TestP10LostData(t *testing.T) {
	t.Parallel()
	over, lost := lostData(t, 1)
	if over > lost {
		t.Errorf("%d tokens over, and %d were lost", over, lost)
	}
}

// TestP10FindsLosses is the control: one loss more than what counts.
func TestP10FindsLosses(t *testing.T) {
	t.Parallel()
	if over, lost := lostData(t, 2); over <= lost {
		t.Errorf("%d tokens over, and %d were lost", over, lost)
	}
}

// lostData returns by how much two nodes exceed a burst that does not come back, and how much of it
// Redis had before the first of its losses.
func lostData(t *testing.T, losses int) (over, lost int) {
	t.Helper()
	const burst = 6000
	server := chaos.StartServer(t)
	direct, limit := patientStore(t, server), ratelimit.PerHour(1).WithBurst(burst)
	p := policyOf(t, limit)
	var loads []*load
	for range 2 {
		loads = append(loads, startLoad(t, leased(t, patientStore(t, server)), patience, limit, []string{"key"}, 4, time.Millisecond))
	}
	for i := range losses {
		for took := 0; took < burst/2; took = owed(take(t, direct, "key", p, 0), 0) {
			time.Sleep(5 * time.Millisecond)
		}
		d := take(t, direct, "key", p, 0)
		server.Do("FLUSHALL")
		if i == 0 { // and what was charged between the two
			lost = owed(d, 0) + d.Held[0] + burst/20
		}
	}
	for !empty(t, direct, p) {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	admitted := 0
	for _, l := range loads {
		l.end()
		admitted += l.windows["key"].tokens()
	}
	return admitted - burst, lost
}

// empty reports whether nothing is left of a key.
func empty(t *testing.T, direct store.Store, p []store.Limit) bool {
	t.Helper()
	d := take(t, direct, "key", p, 0)
	return p[0].Remaining(d.Debts[0])-d.Held[0] <= 0
}
