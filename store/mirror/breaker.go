package mirror

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
)

// A part of the shared store fails and comes back by itself: one primary of a Cluster,
// or the whole of a store that is not [ratelimit.Partitioned].
type part struct {
	name  string // "" is the whole, or a key of which the store does not know the part
	clock clock
	breaker

	key    atomic.Value // a random key of it, by which it is proved
	wanted atomic.Bool  // a call wanted it while it was away
}

// parts are those that any call has met so far.
type parts struct {
	partition func(key string) string // nil: there is but one
	whole     part
	mu        sync.RWMutex
	named     map[string]*part
	ended     bool // those that are met from now on never count as away
}

// mostParts bounds how many are told apart.
const mostParts = 1024

func newParts(shared ratelimit.Store) *parts {
	p := &parts{named: map[string]*part{}}
	if partitioned, ok := shared.(ratelimit.Partitioned); ok {
		p.partition = partitioned.Partition
	}
	return p
}

// of returns the part that has the key's buckets.
func (p *parts) of(key string) *part {
	if p.partition == nil {
		return &p.whole
	}
	name := p.name(key)
	if name == "" {
		return &p.whole
	}
	p.mu.RLock()
	named := p.named[name]
	p.mu.RUnlock()
	if named != nil {
		return named
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if named = p.named[name]; named == nil {
		if len(p.named) == mostParts {
			return &p.whole
		}
		named = &part{name: name}
		named.ended = p.ended
		p.named[name] = named
	}
	return named
}

// name asks the store, of which a panic is no answer.
func (p *parts) name(key string) (name string) {
	defer func() {
		if recover() != nil {
			name = ""
		}
	}()
	return p.partition(key)
}

// all returns every part, the whole first and the others by name.
func (p *parts) all() []*part {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := []*part{&p.whole}
	for _, name := range slices.Sorted(maps.Keys(p.named)) {
		all = append(all, p.named[name])
	}
	return all
}

// end ends whatever looks for a part.
func (p *parts) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	for _, part := range p.all() {
		part.end()
	}
}
