package memory

// wait returns a channel that is closed when an attempt of the slot ends.
func (sh *shard) wait(slot *slot) <-chan struct{} {
	if !slot.awaited {
		if sh.ends == nil {
			sh.ends = make(map[id]chan struct{})
		}
		slot.awaited = true
		sh.ends[slot.id] = make(chan struct{})
	}
	return sh.ends[slot.id]
}

// wake lets the requests continue that wait for an attempt of the slot.
func (sh *shard) wake(slot *slot) {
	if slot.awaited {
		slot.awaited = false
		close(sh.ends[slot.id])
		delete(sh.ends, slot.id)
	}
}
