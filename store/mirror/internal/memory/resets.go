package memory

// resets are the last resets of keys in a shard, the latest first: an answer from before a
// reset may still be on its way. Of older resets only the last instant is kept, as if it had
// been of all keys.
type resets struct {
	recent [8]struct {
		key uint64
		at  int64 // on this node's clock
	}
	older int64
}

func (r *resets) add(key uint64, at int64) {
	last := len(r.recent) - 1
	r.older = r.recent[last].at
	copy(r.recent[1:], r.recent[:last])
	r.recent[0].key, r.recent[0].at = key, at
}

// since reports whether a key was reset, or may have been, after a question was asked.
func (r *resets) since(key uint64, asked int64) bool {
	if r == nil {
		return false
	}
	for i := range r.recent {
		if r.recent[i].key == key && asked < r.recent[i].at {
			return true
		}
	}
	return asked < r.older
}
