package chaos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultMaster: one of three masters is killed, or hangs. Redis still decides the keys of
// the others; its own keys are decided locally until its replica has taken over.
func TestFaultMaster(t *testing.T) {
	for _, fault := range []struct {
		name  string
		do    func(*chaos.Server)
		state byte // of the process, the witness
	}{
		{"Cluster: one of three masters killed", (*chaos.Server).Kill, 0},
		{"Cluster: one of three masters hung", (*chaos.Server).Hang, 'T'},
	} {
		t.Run(fault.name, func(t *testing.T) {
			inPeace(t, func(t *testing.T) (*bout, wants) { return loseMaster(t, fault.name, fault.do, fault.state) })
		})
	}
}

func loseMaster(t *testing.T, name string, do func(*chaos.Server), want byte) (*bout, wants) {
	t.Helper()
	cluster := chaos.StartCluster(t)
	master := cluster.Nodes[0]
	// The control has a client that is not asked to reload the topology.
	static, ok := newClient(t, cluster.URL()).(*redis.ClusterClient)
	if !ok {
		t.Fatal("the client is not one of a Cluster")
	}
	control := startChain(t, chainConfig{
		Client: unreloaded{static},
		Redis:  redisstore.Config{Prefix: "control", TrustClient: true},
	})
	b := startBout(t, "10", name, chainConfig{At: cluster})
	var its, others []string
	names := newNames(t)
	for _, key := range b.fire.keys {
		if cluster.Owner(slotOf(names.of(key, policyOf(t, faultLimit)))) == master {
			its = append(its, key)
		} else {
			others = append(others, key)
		}
	}
	if len(its) < 3 || len(others) < 5 {
		t.Fatalf("%q are the master's and %q the others': too few", its, others)
	}
	controlled := startFireAt(t, control, its...)
	time.Sleep(time.Second)

	reloads := reloadsOf(cluster)
	b.begin(func() { b.lose(func() { do(master) }) })
	o := &outage{fire: b.fire, keys: its, began: time.Now()}
	replica := cluster.Replica(master)
	chaos.Until(t, 20*time.Second, "the replica takes over", func() bool { return replica.Role() == "master" })
	o.ended = time.Now()
	b.end(func() {})
	o.untilBack(t)
	reloads, asking := reloadsOf(cluster)-reloads, time.Since(o.began)
	b.finish()
	if state := master.State(); state != want {
		b.lacks("the old master is in state %q; want %q", state, want)
	}

	back, _ := o.back(o.began)
	t.Logf("the replica took over after %v, its keys were back after %v; %d reloads in %v; its keys: %v; the others': %v",
		o.ended.Sub(o.began).Round(time.Millisecond), back.Round(time.Millisecond), reloads, asking.Round(time.Millisecond),
		o.sources(o.began, time.Time{}), (&outage{fire: b.fire, keys: others}).sources(time.Time{}, time.Time{}))
	o.wantLocal(b)
	if most := allowance(6*time.Second, o.began, o.began.Add(6*time.Second)); back > most {
		b.lacks("its keys were back after %v; want at most %v", back, most)
	}
	if most := int(4*asking.Seconds()) + 1; reloads > most {
		b.lacks("the topology was asked for %d times in %v; want 4 times a second at most", reloads, asking)
	}
	rest := &outage{fire: b.fire, keys: others}
	stalled := slices.ContainsFunc(b.chain.transitions(), byStall)
	if n := rest.sources(time.Time{}, time.Time{}); n[store.FromShare] > 0 && !stalled || n[store.FromStore] == 0 {
		b.lacks("the keys of the other masters were decided by %v; want the store and knowledge alone", n)
	}
	b.well, b.back = b.fault, o.began.Add(back)
	last := time.Now()
	controlled.end()
	c := &outage{fire: controlled, keys: its}
	if n := c.sources(o.ended.Add(time.Second), last); n[store.FromShare] == 0 || n[store.FromStore] > 0 {
		b.lacks("in the control, which never looks for the topology, the keys were decided by %v long after the replica had taken over", n)
	}
	slow := 0 // no call waits for a master that is down
	if want == 'T' {
		slow = slowAllowed(len(its))
	}
	return b, wants{
		Slowest: budget, Extra: b.fire.fates(), Slow: slow, Goroutines: 50,
		Classes: []string{redisstore.ClassConnect, redisstore.ClassLost, redisstore.ClassCluster, redisstore.ClassReadOnly, store.ClassTimeout},
	}
}

// unreloaded hides the type of the client from the store.
type unreloaded struct{ *redis.ClusterClient }

// reloadsOf returns how often the remaining nodes were asked for the topology.
func reloadsOf(cluster *chaos.Cluster) (n int) {
	for _, node := range cluster.Nodes {
		if slices.Contains([]byte{'R', 'S'}, node.State()) {
			n += node.Calls("cluster|slots")
		}
	}
	return n
}
