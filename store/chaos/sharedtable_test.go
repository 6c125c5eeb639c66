package chaos_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
	fleet "github.com/keyrate/keyrate/store/redisstore/table"
)

// tablePoll is short, so that nodes that have lost a message are not slow.
const tablePoll = 200 * time.Millisecond

// A member is a node of a fleet: a limiter on a mirror, by a table that the fleet shares.
type member struct {
	table   *fleet.Table
	mirror  *mirror.Store
	limiter *ratelimit.Limiter
	leave   func()
	current atomic.Int64 // the mark of the last version in force
	failed  atomic.Int64 // events with an error
}

// marked returns a table of n members of a plan, in which all parts have one mark.
func marked(t testing.TB, n, mark int) plans.TableConfig {
	t.Helper()
	c := plans.TableConfig{Plans: map[string]*ratelimit.Policy{}, Members: make(map[string]string, n)}
	remark(t, &c, mark)
	for i := range n {
		c.Members[memberKey(i)] = "a"
	}
	return c
}

func memberKey(i int) string { return "customer-" + strconv.Itoa(i) }

// markRate is the rate that stands for the mark 0. No limiter of these tests is at its limit.
const markRate = 1_000_000

// remark gives a table another mark.
func remark(t testing.TB, c *plans.TableConfig, mark int) {
	t.Helper()
	p, err := ratelimit.NewPolicy(ratelimit.PerSecond(markRate + mark))
	if err != nil {
		t.Fatal(err)
	}
	c.Default, c.Plans["a"], c.Plans["b"] = p, p, p
}

// markOf returns the mark of a policy.
func markOf(p *ratelimit.Policy) int {
	limits := p.Limits()
	if len(limits) != 1 {
		return -1
	}
	return limits[0].Rate - markRate
}

// whole returns the mark of a version, or an error if it is mixed or empty.
func whole(s plans.Snapshot) (int, error) {
	mark, all := markOf(s.Default()), s.Plans()
	if len(all) != 2 || mark < 0 || markOf(all["a"]) != mark || markOf(all["b"]) != mark {
		return 0, fmt.Errorf("mixed or empty: default %v, plans %v", s.Default(), all)
	}
	return mark, nil
}

// join adds a node to the fleet at a Redis.
func join(t testing.TB, at interface{ URL() string }, initial plans.TableConfig, c fleet.Config) *member {
	t.Helper()
	m := new(member)
	shared, err := mirror.New(storeAt(t, at), mirror.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shared.Close() })
	m.mirror = shared
	more := "?timeout=2s"
	if strings.Contains(at.URL(), "?") {
		more = "&timeout=2s"
	}
	client, err := redisstore.NewClient(at.URL() + more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if c.Poll == 0 {
		c.Poll = tablePoll
	}
	c.OnNodes = shared.SetNodes
	c.OnEvent = func(e fleet.Event) {
		if e.Err != nil {
			m.failed.Add(1)
		} else if mark, err := whole(m.table.Snapshot()); err != nil {
			t.Errorf("version %d: %v", e.Version, err)
		} else {
			m.current.Store(int64(mark))
		}
	}
	if m.table, err = fleet.New(client, initial, c); err != nil {
		t.Fatal(err)
	}
	if m.limiter, err = ratelimit.New(shared, m.table, ratelimit.Config{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // a cleanup ends it
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = m.table.Run(ctx)
	}()
	m.leave = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(m.leave)
	return m
}

// use calls a limiter until the end, and fails the test for a call that fails, for a version that
// is mixed, and for a key that has lost its plan.
func (m *member) use(t testing.TB, stop <-chan struct{}, keys int) (calls int) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return calls
		default:
		}
		key := memberKey(i % keys)
		r, err := m.limiter.Allow(context.Background(), key) //nolint:usetesting // as callers do
		if calls++; err != nil || !r.Allowed {
			t.Errorf("a call failed: %+v, %v", r, err)
			return calls
		}
		if _, err := whole(m.table.Table().Snapshot()); err != nil {
			t.Error(err)
			return calls
		}
		if plan, ok := m.table.Table().PlanOf(key); !ok || plan != "a" {
			t.Errorf("%s is in plan %q", key, plan)
			return calls
		}
		time.Sleep(time.Millisecond)
	}
}

// change makes the table have a mark, however often that fails.
func (m *member) change(t testing.TB, mark int) {
	t.Helper()
	var last error
	chaos.Until(t, time.Minute, fmt.Sprintf("change %d is made", mark), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		last = m.table.Change(ctx, "test", func(c *plans.TableConfig) error {
			remark(t, c, mark)
			return nil
		})
		return last == nil
	})
}

// TestSharedTableSurvives: a table of many keys is changed 100 times at three nodes under load,
// while Redis is killed and comes back empty, with an old dump, and hangs.
func TestSharedTableSurvives(t *testing.T) {
	keys := full(2_000, 100_000)
	server := chaos.StartServer(t)
	var nodes []*member
	for range 3 {
		nodes = append(nodes, join(t, server, marked(t, keys, 0), fleet.Config{}))
	}
	stop := make(chan struct{})
	var using sync.WaitGroup
	var calls atomic.Int64
	for _, m := range nodes {
		using.Go(func() { calls.Add(int64(m.use(t, stop, keys))) })
	}
	end := sync.OnceFunc(func() {
		close(stop)
		using.Wait()
	})
	defer end()
	defer func() {
		for i, m := range nodes {
			if t.Failed() {
				t.Logf("node %d has change %d: %+v", i, m.current.Load(), m.table.Status())
			}
		}
	}()
	began, slowest := time.Now(), time.Duration(0)
	for i := 1; i <= 100; i++ {
		switch i {
		case 20: // it is empty
			server.Kill()
			server.Restart()
		case 30:
			server.Do("SAVE")
		case 50: // it has the version of change 29
			server.Kill()
			server.Restart()
		case 60: // while a change is made
			go func() {
				time.Sleep(20 * time.Millisecond)
				server.Kill()
				server.Restart()
			}()
		case 80:
			server.Hang()
			time.AfterFunc(500*time.Millisecond, server.Resume)
		}
		from := time.Now()
		nodes[i%3].change(t, i)
		made := time.Now()
		chaos.Until(t, 30*time.Second, fmt.Sprintf("all nodes have change %d", i), func() bool {
			return !slices.ContainsFunc(nodes, func(m *member) bool { return m.current.Load() != int64(i) })
		})
		if i != 20 && i != 50 && i != 60 && i != 80 {
			slowest = max(slowest, time.Since(made))
		}
		if took := time.Since(from); took > 2*time.Second {
			t.Logf("change %d took %v", i, took.Round(time.Millisecond))
		}
	}
	t.Logf("%d keys: 100 changes in %v; in force on all nodes after %v at most without a fault", keys, time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond))
	for i, m := range nodes {
		chaos.Until(t, 10*time.Second, "the trail is whole", func() bool { return len(m.table.Changes()) == 100 })
		if changes := m.table.Changes(); changes[0].Version != m.table.Status().Version {
			t.Errorf("node %d: version %d, and the last change made %d", i, m.table.Status().Version, changes[0].Version)
		}
	}
	// Any of them can be had back.
	changes := nodes[0].table.Changes()
	for _, n := range []int{99, 71, 50, 1} { // changes[99] is the first
		if err := nodes[1].table.RollBack(t.Context(), "test", changes[n].Version); err != nil {
			t.Errorf("roll back %d changes: %v", n, err)
			continue
		}
		want := int64(100 - n)
		chaos.Until(t, 30*time.Second, fmt.Sprintf("all nodes have change %d again", want), func() bool {
			return !slices.ContainsFunc(nodes, func(m *member) bool { return m.current.Load() != want })
		})
	}
	end()
	t.Logf("none of %d calls failed", calls.Load())
	if calls.Load() < 1000 {
		t.Error("there were too few calls to show anything")
	}
}

// TestSharedTableQuickly: a change is in force on 50 nodes within the promised time.
func TestSharedTableQuickly(t *testing.T) {
	type row struct {
		keys, nodes, changes int
		within               time.Duration
	}
	for _, c := range full([]row{
		{1_000, 20, 20, time.Second},
		{20_000, 3, 3, 10 * time.Second},
	}, []row{
		{1_000, 50, 100, time.Second},
		{100_000, 3, 20, 10 * time.Second},
		{100_000, 50, 20, 10 * time.Second},
	}) {
		t.Run(fmt.Sprintf("%d keys on %d nodes", c.keys, c.nodes), func(t *testing.T) {
			server := chaos.StartServer(t)
			var nodes []*member
			initial := marked(t, c.keys, 0)
			for range c.nodes {
				nodes = append(nodes, join(t, server, initial, fleet.Config{Poll: 2 * time.Second}))
			}
			nodes[0].change(t, 1) // waits until the first version has settled
			var took []time.Duration
			for i := 2; i < c.changes+2; i++ {
				from := time.Now()
				nodes[i%c.nodes].change(t, i)
				chaos.Until(t, time.Minute, "all nodes have it", func() bool {
					return !slices.ContainsFunc(nodes, func(m *member) bool { return m.current.Load() != int64(i) })
				})
				took = append(took, time.Since(from))
			}
			slices.Sort(took)
			p99 := took[(len(took)*99+99)/100-1]
			t.Logf("from the call to all nodes: median %v, p99 %v, of %d changes", took[len(took)/2].Round(time.Millisecond), p99.Round(time.Millisecond), len(took))
			if p99 > chaos.Patience(c.within) {
				t.Errorf("p99 %v; want %v", p99, c.within)
			}
		})
	}
}

// TestSharedTableInCluster: its keys are in one slot, and a failover of that goes unnoticed.
func TestSharedTableInCluster(t *testing.T) {
	cluster := chaos.StartCluster(t)
	a, b := join(t, cluster, marked(t, 10, 0), fleet.Config{}), join(t, cluster, marked(t, 10, 0), fleet.Config{})
	a.change(t, 1)
	chaos.Until(t, 10*time.Second, "the other node has it", func() bool { return b.current.Load() == 1 })
	owner := cluster.Owner(cluster.SlotOf("keyrate:{table}:head"))
	replica := cluster.Replica(owner)
	owner.Kill()
	chaos.Until(t, 30*time.Second, "the replica has taken over", func() bool { return replica.Role() == "master" })
	b.change(t, 2)
	chaos.Until(t, 10*time.Second, "both nodes have it", func() bool { return a.current.Load() == 2 && b.current.Load() == 2 })
}

// TestSharedTableFailsOver: with Sentinels, changes go on at the new primary; until then the old
// table is in force.
func TestSharedTableFailsOver(t *testing.T) {
	sentinel := chaos.StartSentinel(t)
	a, b := join(t, sentinel, marked(t, 10, 0), fleet.Config{}), join(t, sentinel, marked(t, 10, 0), fleet.Config{})
	a.change(t, 1)
	chaos.Until(t, 10*time.Second, "the other node has it", func() bool { return b.current.Load() == 1 })
	sentinel.Primary().Kill()
	b.change(t, 2)
	chaos.Until(t, 10*time.Second, "both nodes have it", func() bool { return a.current.Load() == 2 && b.current.Load() == 2 })
}

// TestSharedTableWithoutMessages: connections that are cut or silent delay a change by a poll.
func TestSharedTableWithoutMessages(t *testing.T) {
	server := chaos.StartServer(t)
	a, b := join(t, server, marked(t, 10, 0), fleet.Config{}), join(t, server, marked(t, 10, 0), fleet.Config{})
	a.change(t, 1)
	for i := 2; i < 10; i++ {
		server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		a.change(t, i)
		chaos.Until(t, 10*time.Second, "the other node has it", func() bool { return b.current.Load() == int64(i) })
	}
}

// TestFleetGrowsAndShrinks: the number of nodes follows 3, 12 and 3 nodes, and what they admit
// without Redis is within the bound of the number that they knew.
func TestFleetGrowsAndShrinks(t *testing.T) {
	const burst = 120
	hour, err := ratelimit.NewPolicy(ratelimit.PerHour(burst))
	if err != nil {
		t.Fatal(err)
	}
	server := chaos.StartServer(t)
	var nodes []*member
	grow := func(n int) {
		for len(nodes) < n {
			nodes = append(nodes, join(t, server, marked(t, 1, 0), fleet.Config{}))
		}
		for len(nodes) > n {
			nodes[len(nodes)-1].leave()
			nodes = nodes[:len(nodes)-1]
		}
		took := chaos.Until(t, 20*time.Second, fmt.Sprintf("all know of %d nodes", n), func() bool {
			return !slices.ContainsFunc(nodes, func(m *member) bool { return m.table.Nodes() != n })
		})
		t.Logf("%d nodes are known after %v", n, took.Round(time.Millisecond))
	}
	// lose kills Redis. All nodes use up a key alone, whose calls wait for no one.
	lose := func(key string, inForce int) {
		server.Kill()
		defer server.Restart()
		admitted := 0
		for _, m := range nodes {
			for range burst {
				d, err := m.mirror.Take(t.Context(), store.Request{Key: key, Limits: hour.Compiled(), Cost: 1})
				if err != nil {
					t.Fatal(err)
				}
				if d.Allowed {
					admitted++
				}
			}
		}
		most := inForce * (burst / inForce) // of each, its share of the burst; nothing comes back meanwhile
		t.Logf("%d nodes admitted %d of %d without Redis", len(nodes), admitted, burst)
		if admitted > most || admitted < len(nodes)*(burst/inForce) {
			t.Errorf("%d nodes admitted %d without Redis; want %d", len(nodes), admitted, most)
		}
	}
	// back waits until Redis decides, and no part of the mirrors has just come back.
	back := func() {
		for _, m := range nodes {
			chaos.Until(t, 20*time.Second, "Redis decides", func() bool {
				d, err := m.mirror.Take(t.Context(), store.Request{Key: "other", Limits: hour.Compiled()})
				return err == nil && d.Source == store.FromStore && m.mirror.Check(t.Context()).Status == store.StatusOK
			})
		}
		time.Sleep(1200 * time.Millisecond)
		for _, m := range nodes {
			if _, err := m.mirror.Take(t.Context(), store.Request{Key: "other", Limits: hour.Compiled()}); err != nil {
				t.Error(err)
			}
		}
	}
	grow(3)
	back()
	lose("a", 3)
	grow(12) // while Redis is empty
	back()
	lose("b", 12)
	back()
	grow(3)
	back()
	lose("c", 3)
}

// TestSharedTableRights: the rights that the package names are enough.
func TestSharedTableRights(t *testing.T) {
	server := chaos.StartServer(t)
	text, err := os.ReadFile("../redisstore/table/doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile(`[+][a-z]+`).FindAllString(string(text), -1)
	if len(rights) < 20 {
		t.Fatalf("rights %q", rights)
	}
	args := []any{"ACL", "SETUSER", "table", "on", ">secret", "resetkeys", "resetchannels", "~keyrate:*", "&keyrate:*", "-@all"}
	for _, right := range rights {
		args = append(args, right)
	}
	server.Do(args...)
	a, b := join(t, asUser{server}, marked(t, 10, 0), fleet.Config{}), join(t, asUser{server}, marked(t, 10, 0), fleet.Config{})
	a.change(t, 1)
	chaos.Until(t, 10*time.Second, "the other node has it", func() bool { return b.current.Load() == 1 })
	server.Do("FLUSHALL")
	b.change(t, 2)
	chaos.Until(t, 10*time.Second, "the other node has it", func() bool { return a.current.Load() == 2 })
	if err := a.table.RollBack(t.Context(), "test", a.table.Changes()[0].Version); err != nil {
		t.Error(err)
	}
	if n := a.failed.Load() + b.failed.Load(); n > 0 {
		t.Errorf("%d attempts failed; %v, %v", n, a.table.Status().Err, b.table.Status().Err)
	}
}

// asUser is a server to a user without other rights.
type asUser struct{ *chaos.Server }

func (u asUser) URL() string { return "redis://table:secret@" + u.Addr }
