package mirror

import (
	"sync"
	"sync/atomic"
)

// nodes is the number of nodes that is to be used next.
type nodes struct {
	wanted  atomic.Int64 // 0: the one in use
	setting sync.Mutex
}

// SetNodes changes [Config.Nodes] to n, at least 1. While a part of the shared store is down, and for
// a second after its return, the last number holds: the nodes that decide alone must not grant more
// in sum than they granted when they lost sight of each other. What this node has admitted stays
// spent. SetNodes may be called at any time and does not wait.
func (s *Store) SetNodes(n int) {
	if s.memory == nil {
		return
	}
	s.nodes.wanted.Store(int64(max(n, 1)))
	s.setNodes()
}

// setNodes uses the wanted number, if that may change now. Else a later request does.
func (s *Store) setNodes() {
	if !s.breaker.Steady() || !s.nodes.setting.TryLock() {
		return
	}
	defer s.nodes.setting.Unlock()
	if n := s.nodes.wanted.Swap(0); n != 0 {
		s.memory.SetNodes(int(n))
	}
}
