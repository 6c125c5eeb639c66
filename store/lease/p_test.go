package lease_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/internal/testkit/fleet"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A chaos is many fleets with random limits, loads and faults.
type chaos struct {
	calls, local int
	over         int64 // tokens by which a bucket was overdrawn at most
	excess       int   // tokens handed out and not returned, beyond B + r t, at most
	out          int   // tokens out at once beyond half of a burst, at most
	stranded     int   // buckets with something held two seconds after the last node died
	twice        int
}

// play plays fleets until they have decided so many calls. change, if not nil, changes their
// configuration.
func play(t *testing.T, calls int, change func(*fleet.Config)) (all chaos) {
	t.Helper()
	skipRaces(t)
	for seed := uint64(1); all.calls < calls; seed++ {
		c := fleet.Config{Seed: seed}
		random := fleet.New(c).Random
		limit := func() ratelimit.Limit {
			rate := []int{50, 200, 1000, 4000, 10_000}[random.IntN(5)]
			return ratelimit.Limit{Rate: rate, Period: time.Second, Burst: max(1, rate*(1+random.IntN(30))/10)}
		}
		c.Limits = testkit.Limits(t, limit())
		if random.IntN(3) == 0 {
			c.Limits = testkit.Limits(t, limit(), limit().Named("second"))
		}
		c.Nodes = 1 << random.IntN(7)
		c.RTT = []time.Duration{0, time.Millisecond, 20 * time.Millisecond}[random.IntN(3)]
		c.Faults = []int{0, 1, 30}[random.IntN(3)]
		c.Wall = time.Hour
		if change != nil {
			change(&c)
		}
		f := fleet.New(c)
		num, _ := c.Limits[0].Interval()
		l := fleet.Load{
			Rate: 1e6 / float64(num) * (0.3 + 1.2*random.Float64()), Keys: 1 << random.IntN(4), Skew: 1.1,
			Balancer: []fleet.Balancer{fleet.Spread, fleet.Sticky, fleet.Hash, fleet.Hop}[random.IntN(4)],
			Cost:     1 + random.IntN(2)*random.IntN(3),
		}
		began, end := f.Now(), f.Now()+int64(time.Duration(1+random.IntN(4))*time.Second)
		f.Start(l, end)
		for f.Now() < end {
			f.Run(f.Now() + random.Int64N(int64(200*time.Millisecond)))
			n := f.Nodes[random.IntN(len(f.Nodes))]
			switch random.IntN(8) {
			case 0, 1:
				n.Pause(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
			case 2:
				n.Suspend(time.Duration(random.Int64N(int64(3 * time.Second))))
			case 3:
				if c.Nodes > 1 {
					n.Crash()
					f.Replace(n)
				}
			}
			if len(f.Keys) == 1 {
				excess := f.Server.Granted - f.Server.Back - c.Limits[0].Burst() - int(f.Key("key 0").Spends[0].Tokens(f.Now()-began))
				all.excess = max(all.excess, excess)
			}
		}
		for _, n := range f.Nodes {
			n.Crash()
		}
		f.Run(f.Now() + int64(2*time.Second))
		for key := range f.Keys {
			if f.Server.Held(key, &c.Limits[0], f.Now()/1000) > 0 {
				all.stranded++
			}
		}
		k := f.Sum()
		all.calls, all.local = all.calls+k.Calls, all.local+k.Local
		all.out, all.twice = max(all.out, f.Server.MostOut), all.twice+f.Server.Twice
		if over := f.Over(); over > all.over {
			all.over = over
			t.Logf("seed %d: %d tokens over; %+v, %+v", seed, over, c, l)
		}
		f.Close()
	}
	t.Logf("%+v", all)
	return all
}

func naive(c *fleet.Config) { c.Naive = true }

// honest are many fleets without anything that a control changes: P1, P2 and P4 look at the same.
// KEYRATE_LEASE_CALLS is how many calls they decide.
func honest(t *testing.T) chaos {
	t.Helper()
	skipRaces(t)
	calls := testkit.Count(500_000, 2_000_000)
	if text := os.Getenv("KEYRATE_LEASE_CALLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("KEYRATE_LEASE_CALLS: %v", err)
		}
		calls = n
	}
	once.Do(func() { played = play(t, calls, nil) })
	if played.calls == 0 || played.local < played.calls/4 {
		t.Fatal("too few calls were decided by a lease for a proof")
	}
	return played
}

var (
	once   sync.Once
	played chaos
)

// TestP1NeverOver: whatever nodes and network do, a bucket that is charged with what callers spend,
// when they do, is never overdrawn.
func TestP1NeverOver(t *testing.T) {
	if all := honest(t); all.over > 0 {
		t.Errorf("%d tokens over", all.over)
	}
}

// TestP1FindsNaiveLeases is the control.
func TestP1FindsNaiveLeases(t *testing.T) {
	if all := play(t, 100_000, naive); all.over == 0 {
		t.Error("leases that take no room were not found")
	}
}

// TestP1FindsLongLives is the control: nodes that stood still and do not notice, so that they spend
// a lease that the shared store has charged.
func TestP1FindsLongLives(t *testing.T) {
	if over := afterStep(t, -4*time.Second); over == 0 {
		t.Error("leases that last too long were not found")
	}
}

// afterStep returns by how much a bucket is overdrawn that is full, and then flooded, after the
// clocks of all nodes were set while they had leases.
func afterStep(t *testing.T, step time.Duration) int64 {
	t.Helper()
	f := newFleet(t, fleet.Config{Nodes: 8, Limits: perSecond(t, 1000, 2000), RTT: time.Millisecond, Seed: 1})
	f.Start(fleet.Load{Rate: 900}, f.Now()+int64(2*time.Second))
	f.Run(f.Now() + int64(2*time.Second))
	for _, n := range f.Nodes {
		n.Pause(4 * time.Second)
		n.SetClock(step)
	}
	f.Run(f.Now() + int64(4*time.Second))
	for _, balancer := range []fleet.Balancer{fleet.Sticky, fleet.Spread} { // one node empties the bucket
		f.Start(fleet.Load{Rate: 50_000, Balancer: balancer}, f.Now()+int64(100*time.Millisecond))
		f.Run(f.Now() + int64(100*time.Millisecond))
	}
	return f.Over()
}

// TestP2GrantsFit: what is handed out and not returned is never more than a burst and what has come
// back since.
func TestP2GrantsFit(t *testing.T) {
	if all := honest(t); all.excess > 0 {
		t.Errorf("%d tokens too many were handed out", all.excess)
	}
	if n := excess(t, false); n > 0 {
		t.Errorf("%d tokens too many were handed out in a flood", n)
	}
}

// TestP2FindsNaiveLeases is the control.
func TestP2FindsNaiveLeases(t *testing.T) {
	if excess(t, true) <= 0 {
		t.Error("leases that take no room were not found")
	}
}

// excess returns how many tokens more than B + r t are handed out, and not returned, in a flood.
func excess(t *testing.T, naive bool) (most int) {
	t.Helper()
	limits := perSecond(t, 1000, 2000)
	f := newFleet(t, fleet.Config{Nodes: 16, Limits: limits, RTT: 5 * time.Millisecond, Seed: 2, Naive: naive})
	began, end := f.Now(), f.Now()+int64(4*time.Second)
	f.Start(fleet.Load{Rate: 5000}, end)
	for f.Now() < end {
		f.Run(f.Now() + int64(10*time.Millisecond))
		most = max(most, f.Server.Granted-f.Server.Back-2000-int(f.Key("key 0").Spends[0].Tokens(f.Now()-began)))
	}
	return most
}

// TestP3Admits: where callers ask for what the limit has, or more, they get it.
func TestP3Admits(t *testing.T) {
	for _, c := range []struct {
		rate, burst int
		nodes       int
		demand      float64
		balancer    fleet.Balancer
		least       float64
	}{
		{10_000, 10_000, 1, 1, fleet.Sticky, 0.97},
		{10_000, 10_000, 10, 1, fleet.Spread, 0.97},
		{10_000, 10_000, 50, 2, fleet.Spread, 0.97},
		{1000, 1000, 10, 1.5, fleet.Spread, 0.97},
		{1000, 100, 10, 1.5, fleet.Spread, 0.97},
		{1000, 5000, 20, 1, fleet.Spread, 0.97},
		{10_000, 10_000, 10, 1, fleet.Hop, 0.9},
		{10_000, 10_000, 50, 1.5, fleet.Hop, 0.9},
		{1000, 100, 10, 1.5, fleet.Hop, 0.9},
		{1000, 5000, 20, 1, fleet.Hop, 0.9},
	} {
		f := newFleet(t, fleet.Config{Nodes: c.nodes, Limits: perSecond(t, c.rate, c.burst), RTT: time.Millisecond, Seed: 3})
		f.Play(fleet.Load{Rate: float64(c.rate) * c.demand, Balancer: c.balancer}, 8*time.Second)
		k := f.Sum()
		part := float64(k.Admitted) / float64(k.Ideal)
		t.Logf("%+v: %.4f of %d, 1/%.1f trips", c, part, k.Ideal, float64(k.Calls)/float64(f.Server.Trips))
		if part < c.least {
			t.Errorf("%+v: %.3f of what an ideal limiter admits", c, part)
		}
	}
}

// TestP3FindsHoarders is the control: nodes that never return a lease.
func TestP3FindsHoarders(t *testing.T) {
	f := newFleet(t, fleet.Config{Nodes: 50, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Seed: 3, Link: func(l fleet.Link) fleet.Link { return hoarder{l} }})
	f.Server.Uncapped = true
	f.Play(fleet.Load{Rate: 1000, Balancer: fleet.Hop}, 8*time.Second)
	if k := f.Sum(); float64(k.Admitted) > 0.9*float64(k.Ideal) {
		t.Errorf("%d of %d were admitted", k.Admitted, k.Ideal)
	}
}

// A hoarder leases all that there is, and returns nothing.
type hoarder struct{ fleet.Link }

func (h hoarder) Settle(_ context.Context, all []store.Settlement) {}

func (h hoarder) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	hold := r.Hold
	r.Release = nil
	if hold != nil {
		r.Hold = &store.Hold{Spend: true, Lease: 1 << 30}
	}
	return h.Link.Take(ctx, r)
}

// TestP4Stranded: no more than half a burst is leased at once, and when all nodes have crashed it
// is charged or free within two seconds.
func TestP4Stranded(t *testing.T) {
	if all := honest(t); all.out > 0 || all.stranded > 0 {
		t.Errorf("%d tokens out beyond half a burst, %d buckets with tokens that are held", all.out, all.stranded)
	}
}

// TestP4FindsUncapped is the control.
func TestP4FindsUncapped(t *testing.T) {
	if all := play(t, 100_000, func(c *fleet.Config) {
		c.Uncapped, c.Link = true, func(l fleet.Link) fleet.Link { return greedy{l} }
	}); all.out == 0 {
		t.Error("more than half a burst was not found")
	}
}

// A greedy link leases more than it is asked for.
type greedy struct{ fleet.Link }

func (g greedy) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if r.Hold == nil {
		return g.Link.Take(ctx, r)
	}
	hold := *r.Hold
	hold.Lease = 1 << 30
	asked := r
	asked.Hold = &hold
	d, err := g.Link.Take(ctx, asked)
	r.Hold.Names, r.Hold.Leased = hold.Names, hold.Leased
	return d, err
}

// TestP5LocalDenials: a node denies nothing by itself that the shared store would admit.
func TestP5LocalDenials(t *testing.T) {
	f := newFleet(t, fleet.Config{Nodes: 10, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Seed: 5})
	f.Play(fleet.Load{Rate: 1500}, 5*time.Second)
	if k := f.Sum(); k.Denied > 0 || k.Local == 0 {
		t.Errorf("%+v", k)
	}
}

// TestP5FindsDenials is the control: nodes that deny when their lease is used up.
func TestP5FindsDenials(t *testing.T) {
	f := newFleet(t, fleet.Config{Nodes: 10, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Seed: 5, With: func(s store.Store) store.Store { return &denier{Store: s} }})
	f.Play(fleet.Load{Rate: 900}, 5*time.Second)
	if k := f.Sum(); k.Denied == 0 {
		t.Errorf("%+v", k)
	}
}

// A denier asks the shared store for one call in two at most.
type denier struct {
	store.Store
	asked bool
}

func (s *denier) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.asked {
		s.asked = false
		return store.Decision{Source: store.FromLease}, nil
	}
	d, err := s.Store.Take(ctx, r)
	s.asked = d.Source != store.FromLease
	return d, err
}

// TestP6Fair: nodes with equal demand get equal parts, and a node with one caller is not starved.
func TestP6Fair(t *testing.T) {
	if part := fairness(t, nil); part < 0.8 {
		t.Errorf("one node got %.2f of what another one got", part)
	}
	if least := besideGreedy(t, false); least < 10 {
		t.Errorf("%d of the 10 calls in a second of the only caller of a node were admitted", least)
	}
}

// TestP6FindsGreed is the control.
func TestP6FindsGreed(t *testing.T) {
	first := true
	if part := fairness(t, func(l fleet.Link) fleet.Link {
		if first {
			first = false
			return reluctant{l}
		}
		return l
	}); part >= 0.8 {
		t.Errorf("one node got %.2f of what another one got", part)
	}
	if least := besideGreedy(t, true); least >= 10 {
		t.Error("a node that leases all was not found")
	}
}

// A reluctant link asks for one call in four.
type reluctant struct{ fleet.Link }

func (l reluctant) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if r.Hold == nil && rand.IntN(4) > 0 {
		return store.Decision{}, nil
	}
	return l.Link.Take(ctx, r)
}

// fairness returns what part of what one of ten nodes got another one got.
func fairness(t *testing.T, link func(fleet.Link) fleet.Link) float64 {
	t.Helper()
	f := newFleet(t, fleet.Config{Nodes: 10, Limits: perSecond(t, 5000, 5000), RTT: time.Millisecond, Seed: 6, Link: link})
	f.Play(fleet.Load{Rate: 10_000}, 10*time.Second) // 20 lives
	least, most := f.Nodes[0].Admitted, 0
	for _, n := range f.Nodes {
		least, most = min(least, n.Admitted), max(most, n.Admitted)
	}
	t.Logf("%d to %d", least, most)
	return float64(least) / float64(most)
}

// besideGreedy returns the least that a node with one caller got in a second, beside one that
// leases as much as it can.
func besideGreedy(t *testing.T, uncapped bool) int {
	t.Helper()
	c := fleet.Config{Nodes: 2, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Seed: 6}
	if uncapped {
		c.Uncapped, c.Link = true, func(l fleet.Link) fleet.Link { return greedy{l} }
	}
	f := newFleet(t, c)
	end := f.Now() + int64(8*time.Second)
	f.Start(fleet.Load{Rate: 900, Balancer: fleet.Sticky}, end)
	least := 1 << 30
	for f.Now() < end {
		before := f.Nodes[1].Admitted
		for range 10 {
			f.Nodes[1].Call(f.Now(), "key 0", 1)
			f.Run(f.Now() + int64(100*time.Millisecond))
		}
		least = min(least, f.Nodes[1].Admitted-before)
	}
	return least
}

// TestP7SmallLimits: a small limit is never leased, and admits what an ideal limiter admits.
func TestP7SmallLimits(t *testing.T) {
	for _, rate := range []float64{4, 50, 1000} {
		f := newFleet(t, fleet.Config{Nodes: 50, Limits: perSecond(t, 5, 5), Seed: 7})
		f.Play(fleet.Load{Rate: rate}, 20*time.Second)
		if k := f.Sum(); k.Local > 0 || k.Admitted != k.Ideal || f.Server.Granted != k.Admitted || f.Server.Trips != k.Calls {
			t.Errorf("%v/s: %+v, %d granted in %d trips", rate, k, f.Server.Granted, f.Server.Trips)
		}
	}
}

// TestP7FindsLeases is the control: a larger limit is leased.
func TestP7FindsLeases(t *testing.T) {
	f := newFleet(t, fleet.Config{Nodes: 50, Limits: perSecond(t, 5000, 5000), Seed: 7})
	f.Play(fleet.Load{Rate: 1000}, 20*time.Second)
	if k := f.Sum(); k.Local == 0 || f.Server.Granted == k.Admitted {
		t.Errorf("%+v", k)
	}
}

// TestP8WallClocks: wall clocks that differ change nothing.
func TestP8WallClocks(t *testing.T) {
	run := func(wall time.Duration) (fleet.Key, int) {
		f := newFleet(t, fleet.Config{Nodes: 10, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Wall: wall, Seed: 8})
		f.Play(fleet.Load{Rate: 1500}, 5*time.Second)
		if f.Over() > 0 {
			t.Errorf("%d tokens over", f.Over())
		}
		return f.Sum(), f.Server.Trips
	}
	k, trips := run(0)
	other, others := run(time.Hour)
	if k.Admitted != other.Admitted || k.Local != other.Local || trips != others || k.Local == 0 {
		t.Errorf("%+v in %d trips, and %+v in %d an hour apart", k, trips, other, others)
	}
}

// TestP8FindsClocks is the control: the clock that leases live by is set back.
func TestP8FindsClocks(t *testing.T) {
	if over := afterStep(t, -time.Hour); over == 0 {
		t.Error("clocks that are set back were not found")
	}
	if over := afterStep(t, 0); over > 0 {
		t.Errorf("%d tokens over, though no clock was set", over)
	}
}

// TestP9OnceEach: no settlement is made twice, whatever the network loses.
func TestP9OnceEach(t *testing.T) {
	if twice := losses(t, nil); twice > 0 {
		t.Errorf("%d settlements were made twice", twice)
	}
}

// TestP9FindsRetries is the control: a link that settles again without an answer.
func TestP9FindsRetries(t *testing.T) {
	if losses(t, func(l fleet.Link) fleet.Link { return retrying{l} }) == 0 {
		t.Error("settlements that are made twice were not found")
	}
}

// losses returns how often more was settled than was leased, over a network that loses messages.
func losses(t *testing.T, link func(fleet.Link) fleet.Link) (twice int) {
	t.Helper()
	for seed := range uint64(5) {
		f := newFleet(t, fleet.Config{Nodes: 2, Limits: perSecond(t, 1000, 5000), RTT: time.Millisecond, Seed: seed, Faults: 50, Link: link})
		f.Play(fleet.Load{Rate: 900, Keys: 4, Balancer: fleet.Hop}, 10*time.Second)
		if k := f.Sum(); k.Local < k.Calls/4 {
			t.Errorf("%+v: too few leases for a proof", k)
		}
		twice += f.Server.Twice
	}
	return twice
}

type retrying struct{ fleet.Link }

func (r retrying) Settle(ctx context.Context, all []store.Settlement) {
	r.Link.Settle(ctx, all)
	if all[0].Err != nil {
		r.Link.Settle(ctx, all)
	}
}

func (r retrying) Take(ctx context.Context, q store.Request) (store.Decision, error) {
	d, err := r.Link.Take(ctx, q)
	if err != nil && len(q.Release) > 0 {
		r.Link.Settle(ctx, q.Release)
	}
	return d, err
}

// TestP11ChangedLimits: when a limit changes while it is leased, no more than half a burst is spent
// beyond it.
func TestP11ChangedLimits(t *testing.T) {
	for seed := range uint64(20) {
		if over := changed(t, seed, false); over > 0 {
			t.Errorf("seed %d: %d tokens beyond half a burst", seed, over)
		}
	}
}

// TestP11FindsNaiveLeases is the control.
func TestP11FindsNaiveLeases(t *testing.T) {
	worst := 0
	for seed := range uint64(20) {
		worst = max(worst, changed(t, seed, true))
	}
	if worst <= 0 {
		t.Error("leases that take no room were not found")
	}
}

// changed returns by how many tokens more than half of the larger burst a bucket was overdrawn.
func changed(t *testing.T, seed uint64, naive bool) int {
	t.Helper()
	a, b := perSecond(t, 1000, 2000), perSecond(t, 200, 400)
	f := newFleet(t, fleet.Config{Nodes: 8, Limits: a, RTT: time.Millisecond, Seed: seed, Naive: naive})
	end := f.Now() + int64(6*time.Second)
	f.Start(fleet.Load{Rate: 900}, end)
	now := a
	for f.Now() < end {
		f.Run(f.Now() + int64(time.Second) + f.Random.Int64N(int64(time.Second)))
		if &now[0] == &a[0] {
			now = b
		} else {
			now = a
		}
		f.Change(now)
	}
	return int(f.Over()) - a[0].Burst()/2
}

// TestP12AllOrNone: if one limit denies, no other is charged.
func TestP12AllOrNone(t *testing.T) {
	if admitted, charged := several(t, nil); charged != admitted {
		t.Errorf("%d tokens admitted, %d charged", admitted, charged)
	}
}

// TestP12FindsCharges is the control: a link that takes of one limit after the other.
func TestP12FindsCharges(t *testing.T) {
	if admitted, charged := several(t, func(l fleet.Link) fleet.Link { return oneByOne{l} }); charged <= admitted {
		t.Errorf("%d tokens admitted, %d charged", admitted, charged)
	}
}

// several returns how many tokens were admitted under two limits, and how many were charged to the
// one that does not deny.
func several(t *testing.T, link func(fleet.Link) fleet.Link) (admitted, charged int) {
	t.Helper()
	limits := testkit.Limits(t,
		ratelimit.Limit{Name: "counts", Rate: 1, Period: time.Hour, Burst: 50_000},
		ratelimit.Limit{Name: "denies", Rate: 1000, Period: time.Second, Burst: 500},
	)
	f := newFleet(t, fleet.Config{Nodes: 5, Limits: limits, RTT: time.Millisecond, Seed: 12, Link: link})
	f.Play(fleet.Load{Rate: 1500}, 5*time.Second)
	k := f.Sum()
	if link == nil && k.Local == 0 || f.Server.Held("key 0", &limits[0], f.Now()/1000) != 0 {
		t.Errorf("%+v: too few leases for a proof, or tokens that are held", k)
	}
	return k.Admitted, f.Server.Spent("key 0", &limits[0], f.Now()/1000)
}

type oneByOne struct{ fleet.Link }

func (o oneByOne) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	limits := r.Limits
	for i := range limits {
		r.Limits, r.Hold = limits[i:i+1], nil
		one, err := o.Link.Take(ctx, r)
		if err != nil || !one.Allowed {
			return one, err
		}
		d.Allowed, d.Debts[i] = true, one.Debts[0]
	}
	return d, nil
}
