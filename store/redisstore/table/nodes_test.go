package table

import (
	"slices"
	"testing"
	"time"
)

// TestNodesAreCounted: the number follows nodes that come, leave and die, and does not shrink
// because Redis has lost it.
func TestNodesAreCounted(t *testing.T) {
	t.Parallel()
	const poll = 400 * time.Millisecond // or a busy machine would miss four of them
	m := startRedis(t)
	var nodes []*testNode
	all := func(n int) func() bool {
		return func() bool {
			return !slices.ContainsFunc(nodes, func(one *testNode) bool { return one.Nodes() != n })
		}
	}
	for range 4 {
		nodes = append(nodes, newNode(t, m.Addr(), Config{Poll: poll}).run(t))
	}
	until(t, "all know of 4", all(4))
	nodes[3].stop()
	nodes = nodes[:3]
	until(t, "all know of 3", all(3))
	m.FlushAll()
	for range 20 {
		if !all(3)() {
			t.Fatal("the number has changed because Redis was emptied")
		}
		time.Sleep(poll / 80)
	}
	m.Close()
	for range 20 {
		if !all(3)() {
			t.Fatal("the number has changed because Redis was down")
		}
		time.Sleep(poll / 8)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	until(t, "Redis has them", func() bool { z, _ := m.ZMembers("keyrate:{table}:nodes"); return len(z) == 3 })
	if !all(3)() {
		t.Error("the number has changed because Redis was back")
	}
	// One dies: it is forgotten after four polls.
	until(t, "all know of 4", func() bool {
		_, err := m.ZAdd("keyrate:{table}:nodes", float64(time.Now().UnixMicro()), "dies")
		return err == nil && all(4)()
	})
	until(t, "all know of 3", all(3))
	// A clock that was set back leaves no node there for ever.
	if _, err := m.ZAdd("keyrate:{table}:nodes", float64(time.Now().Add(time.Hour).UnixMicro()), "ahead"); err != nil {
		t.Fatal(err)
	}
	until(t, "all know of 3", func() bool { z, _ := m.ZMembers("keyrate:{table}:nodes"); return len(z) == 3 && all(3)() })
	for i, n := range nodes {
		n.mu.Lock()
		if len(n.counts) == 0 || slices.Contains(n.counts, 0) {
			t.Errorf("node %d: OnNodes got %v", i, n.counts)
		}
		n.mu.Unlock()
	}
}

// TestNodesAtTheStart: a new node does not begin with a smaller number than it was given.
func TestNodesAtTheStart(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	n := newNode(t, m.Addr(), Config{Nodes: 7, Poll: time.Minute})
	if err := n.Load(t.Context()); err != nil || n.Nodes() != 7 {
		t.Errorf("%d nodes, %v", n.Nodes(), err)
	}
}
