package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultClusterStopped: all nodes of a Cluster hang. All keys are decided locally until
// the nodes continue.
func TestFaultClusterStopped(t *testing.T) {
	inPeace(t, func(t *testing.T) (*bout, wants) {
		cluster := chaos.StartCluster(t)
		b := startBout(t, "11", "Cluster: all nodes hung for 5 s", chainConfig{At: cluster})
		b.begin(func() {
			for _, node := range cluster.Nodes {
				node.Hang()
			}
		})
		o := &outage{fire: b.fire, keys: b.fire.keys, began: time.Now()}
		time.Sleep(5 * time.Second)
		for i, node := range cluster.Nodes {
			if state := node.State(); state != 'T' {
				b.lacks("node %d is in state %q; want T", i, state)
			}
		}
		o.ended = time.Now()
		b.end(func() {
			for _, node := range cluster.Nodes {
				node.Resume()
			}
		})
		all := *o
		for _, key := range all.keys {
			o.keys = []string{key}
			o.wantLocal(b)
		}
		all.untilBack(t)
		b.finish()
		return b, wants{
			Slowest: budget, Extra: b.fire.fates(), Back: 6 * time.Second, Goroutines: 100, Ledger: cluster,
			Classes: []string{redisstore.ClassConnect, redisstore.ClassCluster, store.ClassTimeout},
		}
	})
}
