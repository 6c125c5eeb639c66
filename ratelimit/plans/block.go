package plans

import (
	"crypto/sha256"
	"errors"
	"iter"
	"maps"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// Block blocks a key, whatever else the table says of it, and replaces a block that it has. The
// key may be written as its hash. The table keeps the block until it ends, [Table.Unblock] lifts
// it, or [Snapshot.Replace], whose caller has seen it, leaves it out; [Table.Replace] keeps it.
// Block takes as long for a large table as for a small one, but for a hashed key. The error joins
// a [ratelimit.LimitError] for each fault.
func (t *Table) Block(key string, b ratelimit.Block) error {
	return t.edit(func(blocks *blocks) error { return blocks.add(key, b, true) })
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
			return found.is.policy.Block()
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
		fallback: old.fallback, plans: old.plans, organisations: old.organisations, different: old.different,
		byKey: old.byKey, byHash: old.byHash, blocks: blocks{byKey: maps.Clone(old.blocks.byKey), byHash: maps.Clone(old.blocks.byHash)},
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

	set bool // by Table.Block
	is  *assignment
}

// holds reports whether b has not ended.
func (b *block) holds() bool {
	_, holds := b.is.policy.Block()
	return holds
}

// blocks are those of a table, by the key as it is written.
type blocks struct {
	byKey  map[string]*block
	byHash map[[sha256.Size]byte]*block
}

func (bs *blocks) len() int { return len(bs.byKey) + len(bs.byHash) }

// add enters a block.
func (bs *blocks) add(key string, b ratelimit.Block, set bool) error {
	if _, err := ratelimit.NewBlocked(b, ratelimit.Unlimited); err != nil {
		return err
	}
	if hash, ok := parseHash(key); ok {
		if bs.byHash == nil {
			bs.byHash = make(map[[sha256.Size]byte]*block)
		}
		bs.byHash[hash] = &block{Block: b, set: set}
		return nil
	}
	if strings.HasPrefix(key, keyhash.Prefix) {
		return &ratelimit.LimitError{Field: "key", Value: "not a hash", Want: wantHash}
	}
	if bs.byKey == nil {
		bs.byKey = make(map[string]*block)
	}
	bs.byKey[strings.Clone(key)] = &block{Block: b, set: set}
	return nil
}

// remove removes the blocks of a key, in plain text or hashed.
func (bs *blocks) remove(key string) (found bool) {
	before := bs.len()
	if hash, ok := parseHash(key); ok {
		delete(bs.byHash, hash)
		maps.DeleteFunc(bs.byKey, func(key string, _ *block) bool { return keyhash.Of(key) == hash })
	} else {
		delete(bs.byKey, key)
		delete(bs.byHash, keyhash.Of(key))
	}
	return bs.len() < before
}

// of returns the block of a key, which may be written as its hash; nil if there is none.
func (bs *blocks) of(key string) *block {
	if hash, ok := parseHash(key); ok {
		for plain, b := range bs.byKey {
			if keyhash.Of(plain) == hash {
				return b
			}
		}
		return bs.byHash[hash]
	}
	return bs.find(key)
}

// find returns the block of a key.
func (bs *blocks) find(key string) *block {
	if b := bs.byKey[key]; b != nil || len(bs.byHash) == 0 {
		return b
	}
	return bs.byHash[keyhash.Of(key)]
}

// keep adds the blocks of an old content that Table.Block has set and that have not ended.
func (bs *blocks) keep(old *blocks) {
	for key, b := range old.byKey {
		if b.set && b.holds() {
			bs.remove(key)
			_ = bs.add(key, b.Block, true)
		}
	}
	for hash, b := range old.byHash {
		if b.set && b.holds() {
			bs.remove(keyhash.Text(hash))
			_ = bs.add(keyhash.Text(hash), b.Block, true)
		}
	}
}

// setBlocks sets what each block makes of what the table says of its key otherwise.
func (c *tableContent) setBlocks() (err error) {
	behind := func(b *block, a *assignment) {
		is := assignment{policy: c.fallback}
		if a != nil {
			is = *a
		}
		var fault error
		is.policy, fault = ratelimit.NewBlocked(b.Block, is.policy)
		b.is, err = &is, errors.Join(err, fault)
	}
	var plain map[[sha256.Size]byte]*assignment // of blocked hashes
	for key := range c.byKey {
		if len(c.blocks.byHash) == 0 {
			break
		}
		if hash := keyhash.Of(key); c.blocks.byHash[hash] != nil {
			if plain == nil {
				plain = make(map[[sha256.Size]byte]*assignment)
			}
			plain[hash] = c.byKey[key]
		}
	}
	for key, b := range c.blocks.byKey {
		copied := *b // of the old content: others read it
		behind(&copied, c.listed(key))
		c.blocks.byKey[key] = &copied
	}
	for hash, b := range c.blocks.byHash {
		a := plain[hash]
		if a == nil {
			a = c.byHash[hash]
		}
		copied := *b
		behind(&copied, a)
		c.blocks.byHash[hash] = &copied
	}
	return err
}

const wantHash = `must be "sha256:" and 64 hexadecimal digits, as ratelimit.HashKey returns them`

// all yields the blocks, each by the text of its key's hash.
func (bs *blocks) all() iter.Seq2[string, *block] {
	return func(yield func(string, *block) bool) {
		for hash, b := range bs.byHash {
			if !yield(keyhash.Text(hash), b) {
				return
			}
		}
		for key, b := range bs.byKey {
			if !yield(keyhash.Text(keyhash.Of(key)), b) {
				return
			}
		}
	}
}

// hashed returns the blocks by the texts of hashes.
func (bs *blocks) hashed() map[string]ratelimit.Block {
	all := make(map[string]ratelimit.Block, bs.len())
	for key, b := range bs.all() {
		all[key] = b.Block
	}
	return all
}
