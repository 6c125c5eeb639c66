package plans

import (
	"cmp"
	"crypto/sha256"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

// Block blocks a key, whatever else the table says of it, and replaces a block that it has. The
// key may be written as its hash, and be an address or a prefix: see [TableConfig]. The table keeps the block until it ends, [Table.Unblock] lifts
// it, or [Snapshot.Replace], whose caller has seen it, leaves it out; [Table.Replace] keeps it.
// Block takes as long for a large table as for a small one, but for a hashed key. The error joins
// a [ratelimit.LimitError] for each fault.
func (t *Table) Block(key string, b ratelimit.Block) error {
	return t.edit(func(blocks *blocks) error {
		blocks.remove(key)
		return blocks.add(key, b, true)
	})
}

// Unblock lifts the block of a key, which may be written as its hash. found reports whether it
// had one. A block of TableConfig.Blocked comes back if [Table.Replace] puts such a config in force.
func (t *Table) Unblock(key string) (found bool, err error) {
	if c := t.current.Load(); c == nil || c.blocks.of(key) == nil {
		return false, nil
	}
	err = t.edit(func(blocks *blocks) error {
		found = blocks.remove(key)
		return nil
	})
	return found, err
}

// BlockOf returns the block of a key. ok is false for a key without a block of its own, or with
// one that has ended; its plan or the default may be blocked.
func (t *Table) BlockOf(key string) (b ratelimit.Block, ok bool) {
	if c := t.current.Load(); c != nil {
		if found := c.blocks.of(key); found != nil {
			return found.alone.Block()
		}
	}
	return ratelimit.Block{}, false
}

// edit puts a content in force whose blocks have changed.
func (t *Table) edit(change func(*blocks) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.current.Load()
	if old == nil {
		return errZeroTable
	}
	c := &tableContent{
		fallback: old.fallback, plans: old.plans, organisations: old.organisations,
		byKey: old.byKey, byHash: old.byHash, byPrefix: old.byPrefix, blocks: *old.blocks.clone(),
	}
	if err := change(&c.blocks); err != nil {
		return err
	}
	if err := c.setBlocks(); err != nil {
		return err
	}
	t.current.Store(c)
	t.version.Add(1)
	t.changed(old, c)
	return nil
}

// A block is one of a table.
type block struct {
	ratelimit.Block

	set   bool              // by Table.Block
	alone *ratelimit.Policy // the block, and nothing behind it that may be blocked, too
	is    *assignment
}

// holds reports whether b has not ended.
func (b *block) holds() bool {
	_, holds := b.alone.Block()
	return holds
}

// blocks are those of a table, by the key as it is written.
type blocks struct {
	byKey  map[string]*block
	byHash map[[sha256.Size]byte]*block

	byPrefix address.Map[*block]
}

func (bs *blocks) len() int { return len(bs.byKey) + len(bs.byHash) + bs.byPrefix.Len() }

// add enters a block.
func (bs *blocks) add(key string, b ratelimit.Block, set bool) error {
	alone, err := ratelimit.NewBlocked(b, ratelimit.Unlimited)
	if err != nil {
		return err
	}
	made := &block{Block: b, set: set, alone: alone}
	key = canonical(key)
	hash, hashed := parseHash(key)
	p, prefix := address.ParsePrefix(key)
	switch {
	case hashed:
		if bs.byHash == nil {
			bs.byHash = make(map[[sha256.Size]byte]*block)
		}
		bs.byHash[hash] = made
	case strings.HasPrefix(key, keyhash.Prefix):
		return &ratelimit.LimitError{Field: "key", Value: "not a hash", Want: wantHash}
	case prefix:
		bs.byPrefix.Set(p, made)
	case address.Is(key):
		return &ratelimit.LimitError{Field: "key", Value: "an address", Want: address.Want}
	default:
		if bs.byKey == nil {
			bs.byKey = make(map[string]*block)
		}
		bs.byKey[strings.Clone(key)] = made
	}
	return nil
}

// canonical returns the key that a table has for one that is written as an address, or key.
func canonical(key string) string {
	if of, ok := address.Canonical(key); ok {
		return of
	}
	return key
}

// remove removes the blocks of a key, in plain text or hashed.
func (bs *blocks) remove(key string) (found bool) {
	before := bs.len()
	key = canonical(key)
	if hash, ok := parseHash(key); ok {
		delete(bs.byHash, hash)
		maps.DeleteFunc(bs.byKey, func(key string, _ *block) bool { return keyhash.Of(key) == hash })
	} else if p, ok := address.ParsePrefix(key); ok {
		bs.byPrefix.Delete(p)
	} else {
		delete(bs.byKey, key)
		delete(bs.byHash, keyhash.Of(key))
	}
	return bs.len() < before
}

// of returns the block of a key, which may be written as its hash; nil if there is none.
func (bs *blocks) of(key string) *block {
	key = canonical(key)
	if hash, ok := parseHash(key); ok {
		for plain, b := range bs.byKey {
			if keyhash.Of(plain) == hash && (b.holds() || bs.byHash[hash] == nil) {
				return b
			}
		}
		return bs.byHash[hash]
	}
	if p, ok := address.ParsePrefix(key); ok {
		b, _ := bs.byPrefix.Get(p)
		return b
	}
	return bs.find(key)
}

// find returns the block of exactly the key. If it has two, the one counts that has not ended.
func (bs *blocks) find(key string) *block {
	b := bs.byKey[key]
	if len(bs.byHash) == 0 || b != nil && b.holds() {
		return b
	}
	if hashed := bs.byHash[keyhash.Of(key)]; hashed != nil {
		return hashed
	}
	return b
}

// keep adds the blocks of an old content that Table.Block has set and that have not ended.
func (bs *blocks) keep(old *blocks) {
	for key, b := range old.all() {
		if b.set && b.holds() {
			bs.remove(key)
			_ = bs.add(key, b.Block, true) // it was added before
		}
	}
}

// carry makes the blocks of keys that Table.Block has blocked in an old content ones that it has set.
func (bs *blocks) carry(old *blocks) {
	for key, b := range old.all() {
		if !b.set {
			continue
		}
		if carried := bs.of(key); carried != nil {
			carried.set = true
		}
	}
}

// clone returns a copy with blocks of its own.
func (bs *blocks) clone() *blocks {
	made := new(blocks)
	for key, b := range bs.all() {
		_ = made.add(key, b.Block, b.set)
	}
	return made
}

// all yields the blocks, each with its key as a table has it.
func (bs *blocks) all() iter.Seq2[string, *block] {
	return func(yield func(string, *block) bool) {
		for key, b := range bs.byKey {
			if !yield(key, b) {
				return
			}
		}
		for hash, b := range bs.byHash {
			if !yield(keyhash.Text(hash), b) {
				return
			}
		}
		for p, b := range bs.byPrefix.All() {
			if !yield(p.String(), b) {
				return
			}
		}
	}
}

// hashed returns the blocks with hashes for the keys.
func (bs *blocks) hashed() map[string]ratelimit.Block {
	all := make(map[string]ratelimit.Block, bs.len())
	for _, hashed := range []bool{true, false} { // the plain one counts, as in find
		for key, b := range bs.all() {
			_, prefix := address.ParsePrefix(key)
			switch _, isHash := parseHash(key); {
			case isHash != hashed:
				continue
			case !isHash && !prefix:
				key = ratelimit.HashKey(key)
			}
			all[key] = b.Block
		}
	}
	return all
}

// setBlocks sets what each block makes of what the table says of its key otherwise.
func (c *tableContent) setBlocks() error {
	var faults faultList
	c.setPrefixBlocks(&faults)
	for key, b := range c.blocks.byKey {
		c.setBlock(key, b, c.without(key), &faults)
	}
	plain := c.plainOf(c.blocks.byHash)
	for hash, b := range c.blocks.byHash {
		c.setBlock(keyhash.Text(hash), b, cmp.Or(plain[hash], c.byHash[hash]), &faults)
	}
	return faults.join()
}

// setBlocksOf is setBlocks for those blocks that depend on what a table with hashes for keys says of
// a hash or of a prefix.
func (c *tableContent) setBlocksOf(key string) error {
	var faults faultList
	if _, ok := address.ParsePrefix(key); ok {
		c.setPrefixBlocks(&faults)
	} else if hash, ok := parseHash(key); ok && c.blocks.byHash[hash] != nil {
		c.setBlock(key, c.blocks.byHash[hash], c.byHash[hash], &faults)
	}
	return faults.join()
}

func (c *tableContent) setPrefixBlocks(faults *faultList) {
	prefixes := make([]address.Prefix, 0, c.blocks.byPrefix.Len())
	for p := range c.blocks.byPrefix.All() {
		prefixes = append(prefixes, p)
	}
	slices.SortFunc(prefixes, func(a, b address.Prefix) int { return a.Bits() - b.Bits() })
	for _, p := range prefixes { // a shorter one may be behind a longer one
		b, _ := c.blocks.byPrefix.Get(p)
		c.setBlock(p.String(), b, c.outside(p), faults)
	}
}

// setBlock sets what a block makes of what the table says of its key otherwise, or nil for the
// default.
func (c *tableContent) setBlock(key string, b *block, otherwise *assignment, faults *faultList) {
	is := assignment{policy: c.fallback}
	if otherwise != nil {
		is = *otherwise
	}
	if p, err := ratelimit.NewBlocked(b.Block, is.policy); err == nil {
		is.policy = p
	} else {
		for _, fault := range ratelimit.Faults(err) {
			faults.add(&placedError{LimitError: &ratelimit.LimitError{Field: place("Blocked", key), Value: fault.Value, Want: fault.Want}})
		}
	}
	b.is = &is
}

// plainOf returns the assignments of keys that are listed in plain text and have a blocked hash.
func (c *tableContent) plainOf(blocked map[[sha256.Size]byte]*block) map[[sha256.Size]byte]*assignment {
	plain := make(map[[sha256.Size]byte]*assignment)
	if len(blocked) == 0 {
		return plain
	}
	for key, a := range c.byKey {
		if hash := keyhash.Of(key); blocked[hash] != nil {
			plain[hash] = a
		}
	}
	return plain
}

const wantHash = `must be "sha256:" and 64 hexadecimal digits, as ratelimit.HashKey returns them`
