package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// slotKeys returns ten API keys that are all in one slot of a Cluster.
func slotKeys(t testing.TB, cluster *chaos.Cluster) (keys []string, slot int) {
	t.Helper()
	slot = -1
	return keysIn(t, cluster, "key", 10, func(at int) bool {
		if slot < 0 {
			slot = at
		}
		return at == slot
	}), slot
}

// TestFaultSlotHalfMoved: for nine seconds half of the buckets of a slot are on one master,
// and half on another. Each key is admitted exactly its limit.
func TestFaultSlotHalfMoved(t *testing.T) {
	machine().Replay(t, slow, func(t testing.TB) {
		cluster := chaos.StartCluster(t)
		keys, slot := slotKeys(t, cluster)
		from, to := cluster.Owner(slot), otherMaster(cluster, slot)
		chain := startChain(t, chainConfig{At: cluster})
		load := startFireAt(t, chain, keys...)
		time.Sleep(calm)
		asked := cluster.Errors("ASK")
		cluster.OpenSlot(slot, from, to)
		buckets := from.KeysOf(slot)
		cluster.MoveKeys(from, to, buckets[:len(buckets)/2]...)
		time.Sleep(9 * time.Second)
		if here, there := len(from.KeysOf(slot)), len(to.KeysOf(slot)); here != 5 || there != 5 {
			t.Errorf("%d buckets are here and %d there; want five each", here, there)
		}
		cluster.MoveKeys(from, to, from.KeysOf(slot)...)
		cluster.CloseSlot(slot, from, to)
		asked = cluster.Errors("ASK") - asked
		time.Sleep(time.Second)
		load.end()
		if asked < 100 {
			t.Errorf("%d times ASK; want 100", asked)
		}
		load.wantUndisturbed(t, "9", "Cluster: a slot is half moved for 9 s")
		t.Logf("%d times ASK", asked)
	})
}

// TestFaultReshard: a slot with its buckets moves from one master to another and back, again
// and again.
func TestFaultReshard(t *testing.T) {
	machine().Replay(t, slow, func(t testing.TB) {
		cluster := chaos.StartCluster(t)
		keys, slot := slotKeys(t, cluster)
		from, to := cluster.Owner(slot), otherMaster(cluster, slot)
		chain := startChain(t, chainConfig{At: cluster})
		load := startFireAt(t, chain, keys...)
		time.Sleep(calm)
		asked, moved, moves := cluster.Errors("ASK"), cluster.Errors("MOVED"), 0
		for start := time.Now(); time.Since(start) < 9*time.Second; moves++ {
			cluster.OpenSlot(slot, from, to)
			for range 4 {
				time.Sleep(30 * time.Millisecond)
				buckets := from.KeysOf(slot)
				cluster.MoveKeys(from, to, buckets[:len(buckets)/2]...)
			}
			time.Sleep(30 * time.Millisecond)
			cluster.MoveKeys(from, to, from.KeysOf(slot)...)
			cluster.CloseSlot(slot, from, to)
			from, to = to, from
		}
		asked, moved = cluster.Errors("ASK")-asked, cluster.Errors("MOVED")-moved
		load.end()
		if asked < 100 || moved < moves {
			t.Errorf("the slot moved %d times, and there were %d times ASK and %d times MOVED; want 100, and once for each move", moves, asked, moved)
		}
		load.wantUndisturbed(t, "9", "Cluster: a slot moves on and on")
		t.Logf("%d moves, %d times ASK, %d times MOVED", moves, asked, moved)
	})
}

// otherMaster returns a master that does not have the slot.
func otherMaster(cluster *chaos.Cluster, slot int) *chaos.Server {
	for _, one := range cluster.Nodes[:3] {
		if one != cluster.Owner(slot) {
			return one
		}
	}
	return nil
}

// wantUndisturbed fails the test unless Redis decided every call that knowledge did not
// deny, and each key was admitted exactly its limit.
func (f *fire) wantUndisturbed(t testing.TB, row, name string) {
	t.Helper()
	f.wantAnswered(t)
	f.wantExact(t, 2)
	f.report(t, row, name)
	// One of two hundred calls may time out on a busy machine, and more when it stalls.
	trips, failed := f.chain.tap.count(func(trip) bool { return true }), f.chain.tap.count(func(one trip) bool {
		return one.class != "" && one.class != store.ClassTimeout
	})
	late := f.chain.tap.count(func(one trip) bool {
		return one.class == store.ClassTimeout && machine().Worst(one.sent, one.came) < store.DefaultTimeout/4
	})
	if failed > 0 || late > trips/200 {
		t.Errorf("of %d calls that Redis was to decide %d failed and %d ran out of time: %v", trips, failed, late, f.chain.tap.classes())
	}
}
