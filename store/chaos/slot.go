package chaos

import (
	"fmt"
	"strings"
)

// SlotOf returns the slot of a Redis key.
func (c *Cluster) SlotOf(key string) int {
	slot, _ := c.Nodes[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	return int(slot)
}

// Owner returns the master that had a slot at the start.
func (c *Cluster) Owner(slot int) *Server { return c.Nodes[owner(slot)] }

// Keys returns the names of all keys on a node that begin with prefix.
func (s *Server) Keys(prefix string) []string {
	names, _ := s.Do("KEYS", prefix+"*").([]any)
	var keys []string
	for _, name := range names {
		if text := fmt.Sprint(name); strings.HasPrefix(text, prefix) {
			keys = append(keys, text)
		}
	}
	return keys
}

// OpenSlot begins to move a slot: the source then answers ASK for keys that it does not
// have.
func (c *Cluster) OpenSlot(slot int, from, to *Server) {
	c.tb.Helper()
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from])
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to])
}

// MoveKeys moves keys of an open slot, all at once.
func (c *Cluster) MoveKeys(from, to *Server, keys ...string) {
	c.tb.Helper()
	if len(keys) == 0 {
		return
	}
	args := []any{"MIGRATE", "127.0.0.1", to.Port, "", 0, 5000, "KEYS"}
	for _, key := range keys {
		args = append(args, key)
	}
	from.Do(args...)
}

// CloseSlot ends the move: the source then answers MOVED.
func (c *Cluster) CloseSlot(slot int, from, to *Server) {
	c.tb.Helper()
	for _, node := range []*Server{to, from} { // the new owner first, so that the slot always has one
		node.Do("CLUSTER", "SETSLOT", slot, "NODE", c.ids[to])
	}
}

// KeysOf returns the names of the keys that a node has in a slot.
func (s *Server) KeysOf(slot int) []string {
	names, _ := s.Do("CLUSTER", "GETKEYSINSLOT", slot, 1000).([]any)
	var keys []string
	for _, name := range names {
		keys = append(keys, fmt.Sprint(name))
	}
	return keys
}
