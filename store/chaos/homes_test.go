package chaos_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestClusterHome: in a Cluster, a decision under limits of a key and of its home is one
// script call, and so is each hold, renewal and settlement. All keys of a home share its
// tokens and calls at once, over several nodes.
func TestClusterHome(t *testing.T) {
	cluster := chaos.StartCluster(t)
	backends := []store.Store{patientStore(t, cluster), patientStore(t, cluster)}
	p := policyOf(t, countable.Named("own"), countable.WithBurst(300).Named("home"), calls(20))
	p[1].Shared, p[2].Shared = true, true
	const homes, members = 5, 4
	of := func(home, member int) (string, string) {
		return fmt.Sprint("home ", home), fmt.Sprint("key ", home*members+member)
	}
	request := func(home, member, cost int, h *store.Hold) store.Request {
		r := store.Request{Limits: p, Cost: cost, Hold: h, Timeout: patience}
		r.Home, r.Key = of(home, member)
		return r
	}
	scripts := func() (n int) {
		for _, node := range cluster.Nodes {
			n += node.Calls("evalsha") + node.Calls("eval")
		}
		return n
	}
	settle := func(l *lent, actual int) {
		if err := l.settle(t.Context(), backends[0], actual, patience); err != nil {
			t.Error(err)
		}
	}
	each := func(f func(home, member int)) {
		for home := range homes {
			for member := range members {
				f(home, member)
			}
		}
	}
	holding := func(home, member, cost int, spend bool) *lent {
		h := store.Hold{Spend: spend}
		r := request(home, member, cost, &h)
		d, err := backends[member%2].Take(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return &lent{Settlement: store.Settlement{Home: r.Home, Key: r.Key, Limits: p, Names: h.Names, Held: cost}, decision: d}
	}
	each(func(home, member int) { settle(holding(home, member, 1, false), 1) }) // afterwards all nodes have the script
	before := scripts()
	var out []*lent
	each(func(home, member int) {
		l := holding(home, member, 2, false)
		if !l.decision.Allowed {
			t.Errorf("a hold was denied: %+v", l.decision)
		}
		out = append(out, l)
	})
	for _, l := range out {
		if err := l.renew(t.Context(), backends[1], patience); err != nil {
			t.Error(err)
		}
	}
	each(func(home, member int) {
		d, err := backends[0].Take(t.Context(), request(home, member, 0, nil))
		if err != nil || d.Held != [store.MaxLimits]int{2, 2 * members, members} {
			t.Errorf("%v are held, %v; want %d", d.Held, err, []int{2, 2 * members, members})
		}
	})
	for _, l := range out {
		settle(l, 1)
	}
	if n, want := scripts()-before, 4*homes*members; n != want {
		t.Errorf("%d script calls for %d decisions and settlements; want as many", n, want)
	}
	each(func(home, member int) {
		d, err := backends[1].Take(t.Context(), request(home, member, 0, nil))
		if err != nil || d.Held != [store.MaxLimits]int{} || owed(d, 0) != 2 || owed(d, 1) != 2*members {
			t.Errorf("%v are held, and %d of the key and %d of the home owed, %v; want none, 2 and %d", d.Held, owed(d, 0), owed(d, 1), err, 2*members)
		}
	})

	// Over both nodes, callers of all keys spend what the home has, to the last token.
	var admitted, denied [homes]atomic.Int64
	var running, most [homes]atomic.Int64
	var callers sync.WaitGroup
	each(func(home, member int) {
		for range 8 {
			callers.Go(func() {
				for range 20 {
					l := holding(home, member, 1, true)
					if !l.decision.Allowed {
						denied[home].Add(1)
						continue
					}
					admitted[home].Add(1)
					n := running[home].Add(1)
					for seen := most[home].Load(); n > seen && !most[home].CompareAndSwap(seen, n); seen = most[home].Load() {
					}
					running[home].Add(-1)
					l.Limits, l.Names = p[2:], [store.MaxLimits]int64{l.Names[2]}
					settle(l, 0)
				}
			})
		}
	})
	callers.Wait()
	for home := range homes {
		d, err := backends[0].Take(t.Context(), request(home, 0, 0, nil))
		if n := admitted[home].Load(); err != nil || n != int64(300-2*members) || denied[home].Load() == 0 || most[home].Load() > 20 || d.Held[2] != 0 {
			t.Errorf("home %d: %d calls were admitted, %d at once, %d denied, and %d are still running, %v; want %d, 20 at most, some and none", home, n, most[home].Load(), denied[home].Load(), d.Held[2], err, 300-2*members)
		}
	}
}
