package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestClusterSlotMoves: a slot moves from one master to another and back, for a while with
// one of its two buckets on each. Callers are not affected.
func TestClusterSlotMoves(t *testing.T) {
	cluster := chaos.StartCluster(t)
	// Two limits of one API key are two buckets in one slot. Each has calls of its own.
	// Although these share a pipeline, they must not depend on each other.
	first, second := countable.Named("first"), countable.Named("second")
	for _, c := range []struct {
		key    string
		second string // the key of concurrent calls under the second limit
	}{
		{"called under one limit", "bystander 3"},
		{"called under either limit", "called under either limit"},
	} {
		t.Run(c.key, func(t *testing.T) {
			backend := patientStore(t, cluster)
			slot, from := bucketAt(t, cluster, backend, c.key, first)
			bucketAt(t, cluster, backend, c.key, second)
			to := cluster.Nodes[0]
			if to == from {
				to = cluster.Nodes[1]
			}
			one := startLoad(t, backend, patience, first, []string{c.key, "bystander 1 of " + c.key, "bystander 2 of " + c.key}, 4, time.Millisecond)
			two := startLoad(t, backend, patience, second, []string{c.second}, 4, time.Millisecond)
			asked, moved := cluster.Errors("ASK"), cluster.Errors("MOVED")
			for range 2 {
				moveSlot(t, cluster, slot, from, to)
				from, to = to, from
			}
			one.end()
			two.end()
			asked, moved = cluster.Errors("ASK")-asked, cluster.Errors("MOVED")-moved
			t.Logf("%v; %v; %d times ASK, %d times MOVED", one.all(), two.all(), asked, moved)
			if asked < 100 {
				t.Errorf("%d times ASK; want at least 100", asked)
			}
			wantNoErrors(t, one.all())
			wantNoErrors(t, two.all())
			one.windows[c.key].add(0, 1) // bucketAt's
			if c.second == c.key {
				two.windows[c.key].add(0, 1)
			}
			for key := range one.windows {
				one.wantCharged(t, key)
			}
			two.wantCharged(t, c.second)
		})
	}
	// How often depends on how soon the client reloads the topology.
	if cluster.Errors("MOVED") == 0 {
		t.Error("no server said MOVED")
	}
}

// moveSlot moves a slot with two buckets, and leaves it half moved for a while.
func moveSlot(t *testing.T, cluster *chaos.Cluster, slot int, from, to *chaos.Server) {
	t.Helper()
	cluster.OpenSlot(slot, from, to)
	time.Sleep(200 * time.Millisecond)
	buckets := from.KeysOf(slot)
	if len(buckets) != 2 {
		t.Fatalf("the slot holds %q; want two buckets", buckets)
	}
	// The first bucket moves first, and last on the way back.
	cluster.MoveKeys(from, to, buckets[0])
	time.Sleep(500 * time.Millisecond)
	if here, there := len(from.KeysOf(slot)), len(to.KeysOf(slot)); here != 1 || there != 1 {
		t.Errorf("of the slot's buckets %d are here and %d there; want one each", here, there)
	}
	cluster.MoveKeys(from, to, buckets[1])
	time.Sleep(300 * time.Millisecond)
	cluster.CloseSlot(slot, from, to)
	time.Sleep(200 * time.Millisecond)
}

// TestClusterSlotHalfMoved: while two buckets of one decision are on different masters, no
// server can decide. The call gets an error with a class, within its budget, and nothing is
// charged. When both are on one master, decisions are made again.
func TestClusterSlotHalfMoved(t *testing.T) {
	watch, cluster := startWatch(t), chaos.StartCluster(t)
	backend := storeAt(t, cluster)
	both := policyOf(t, countable.Named("first"), countable.Named("second"))
	const key = "moving"
	slot, from := bucketAt(t, cluster, backend, key, countable.Named("first"))
	bucketAt(t, cluster, backend, key, countable.Named("second"))
	to := cluster.Nodes[0]
	if to == from {
		to = cluster.Nodes[1]
	}
	cluster.OpenSlot(slot, from, to)
	buckets := from.KeysOf(slot)
	cluster.MoveKeys(from, to, buckets[0])
	var took []time.Duration
	for range 20 {
		start := time.Now()
		d, err := tryTake(t.Context(), backend, key, both, 1)
		if class := store.ErrorClass(err); class != redisstore.ClassCluster || d.Allowed {
			t.Fatalf("with half of the buckets here and half there: allowed=%v, class %q, %v; want class %q", d.Allowed, class, err, redisstore.ClassCluster)
		}
		took = append(took, time.Since(start))
	}
	watch.wantInBudget(t, took)
	if cluster.Errors("TRYAGAIN") == 0 {
		t.Error("no server said TRYAGAIN")
	}
	cluster.MoveKeys(from, to, buckets[1:]...)
	if d := take(t, backend, key, both, 1); !d.Allowed {
		t.Errorf("with both buckets there: %+v", d)
	}
	cluster.CloseSlot(slot, from, to)
	if d := take(t, backend, key, both, 1); !d.Allowed {
		t.Errorf("after the move: %+v", d)
	}
	for _, limit := range []ratelimit.Limit{countable.Named("first"), countable.Named("second")} {
		if n := charged(t, backend, key, limit); n != 3 {
			t.Errorf("limit %s: %d tokens were charged; want 3", limit.Name, n)
		}
	}
}

// bucketAt makes the bucket of a key with a call, and returns its server.
func bucketAt(t *testing.T, cluster *chaos.Cluster, backend store.Store, key string, limit ratelimit.Limit) (slot int, at *chaos.Server) {
	t.Helper()
	before := map[string]bool{}
	for _, node := range cluster.Nodes[:3] {
		for _, name := range node.Keys("keyrate:") {
			before[name] = true
		}
	}
	for range 50 { // a bucket of a quick limit may expire during a stall
		take(t, backend, key, policyOf(t, limit), 1)
		for _, node := range cluster.Nodes[:3] {
			for _, name := range node.Keys("keyrate:") {
				if !before[name] {
					return cluster.SlotOf(name), node
				}
			}
		}
	}
	t.Fatal("the calls have made no bucket")
	return 0, nil
}

// TestClusterMasterKilled: one of three masters is killed. The keys of the others are still
// decided. Its own keys get errors with a class, and are decided again soon after the
// replica has taken over. (By itself the client reloads the topology once a minute.)
func TestClusterMasterKilled(t *testing.T) {
	watch, cluster := startWatch(t), chaos.StartCluster(t)
	backend := storeAt(t, cluster)
	limit := ratelimit.PerSecond(20)
	master := cluster.Nodes[0]
	var its, others []string
	for _, key := range keysNamed("key", 30) {
		if _, at := bucketAt(t, cluster, backend, key, limit); at == master {
			its = append(its, key)
		} else {
			others = append(others, key)
		}
	}
	if len(its) < 3 || len(others) < 3 {
		t.Fatalf("%d keys are the master's and %d of others: too few", len(its), len(others))
	}
	time.Sleep(time.Second) // all buckets are full again
	l := startLoad(t, backend, store.DefaultTimeout, limit, append(its, others...), 1, 12*time.Millisecond)
	l.watch = watch
	time.Sleep(time.Second)
	counting := time.Now()
	reloads := cluster.Nodes[1].Calls("cluster|slots") + cluster.Nodes[2].Calls("cluster|slots")
	killed := time.Now()
	master.Kill()
	if state := master.State(); state != 0 {
		t.Fatalf("the master is in state %q after SIGKILL", state)
	}
	replica := cluster.Replica(master)
	takeover := chaos.Until(t, 15*time.Second, "the replica takes over", func() bool { return replica.Role() == "master" })
	reloads = cluster.Nodes[1].Calls("cluster|slots") + cluster.Nodes[2].Calls("cluster|slots") - reloads
	counted := time.Since(counting)
	l.untilBack(t, killed, its...)
	l.end()

	during := l.between(killed, time.Time{}, its...)
	back := time.Duration(0)
	for _, key := range its {
		back = max(back, l.back(killed, key))
	}
	t.Logf("the replica took over after %v, the last key was back after %v, with %d reloads; its keys: %v; the others: %v",
		takeover.Round(time.Millisecond), back.Round(time.Millisecond), reloads, during, l.between(killed, time.Time{}, others...))
	watch.wantNoErrors(t, l.between(time.Time{}, killed, its...))
	watch.wantNoErrors(t, l.between(time.Time{}, time.Time{}, others...))
	wantClasses(t, during, redisstore.ClassConnect, redisstore.ClassLost, store.ClassTimeout, redisstore.ClassCluster, redisstore.ClassReadOnly)
	if most := takeover + watch.within(2*time.Second); back > most {
		t.Errorf("back after %v; want at most %v, 2 s after the replica took over", back, most)
	}
	if most := int(counted/(250*time.Millisecond)) + 4; reloads > most {
		t.Errorf("the topology was asked for %d times in %v; want four times a second at most", reloads, counted)
	}
	watch.wantInBudget(t, during.took)
	l.wantAdmitted(t, 0, others...)
	for _, key := range its {
		// What the replica had not received yet is lost: at most a burst.
		if over := l.windows[key].worst(); over > int64(limit.Rate) {
			t.Errorf("key %s: %d tokens too many", key, over)
		}
	}
}
