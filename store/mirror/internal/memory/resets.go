package memory

// resets are the last resets of keys in a shard, the latest first: answers from before a reset
// may still arrive, and must be ignored. Of older resets only the last instant is kept, as if
// it had been of all keys.
type resets struct {
	recent [8]struct {
		at  int64 // on this node's clock
		key uint64
	}
	older int64
}

func (r *resets) add(key uint64, at int64) {
	last := len(r.recent) - 1
	r.older = r.recent[last].at
	copy(r.recent[1:], r.recent[:last])
	r.recent[0].at, r.recent[0].key = at, key
}

// since reports whether a key was reset, or may have been, after a question was asked.
func (r *resets) since(key uint64, asked int64) bool {
	for i := range r.recent {
		if asked >= r.recent[i].at {
			return false
		}
		if r.recent[i].key == key {
			return true
		}
	}
	return asked < r.older
}
