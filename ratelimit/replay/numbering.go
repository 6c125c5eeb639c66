package replay

import "hash/maphash"

// A numbering numbers texts from 0, in the order in which they first come. It is a map without
// pointers, which the garbage collector would have to follow: there may be millions of texts.
type numbering struct {
	seed  maphash.Seed
	texts []byte   // one behind the other
	ends  []uint64 // of texts
	slots []slot   // a hash table with linear probing; their number is a power of two
}

// A slot has the number of a text, plus 1, and a part of its hash.
type slot struct{ number, hash uint32 }

// hash returns the hash of a text.
func (n *numbering) hash(text []byte) uint32 {
	if n.slots == nil {
		n.grow()
	}
	return uint32(maphash.Bytes(n.seed, text))
}

// guess returns the slot in which a text with this hash is, in most cases.
func (n *numbering) guess(hash uint32) slot { return n.slots[hash&uint32(len(n.slots)-1)] }

// number returns the number of a text with this hash; fresh is true if it had none.
func (n *numbering) number(text []byte, hash uint32) (number uint32, fresh bool) {
	if len(n.slots) <= n.len()*3/2 {
		n.grow()
	}
	at := n.find(hash, text)
	if found := n.slots[at].number; found > 0 {
		return found - 1, false
	}
	n.texts = append(n.texts, text...)
	n.ends = append(n.ends, uint64(len(n.texts)))
	n.slots[at] = slot{uint32(len(n.ends)), hash}
	return uint32(len(n.ends) - 1), true
}

// find returns the slot of a text, or the free one in which to put it.
func (n *numbering) find(hash uint32, text []byte) uint32 {
	last := uint32(len(n.slots) - 1)
	for at := hash & last; ; at = (at + 1) & last {
		s := &n.slots[at]
		if s.number == 0 || s.hash == hash && string(n.text(s.number-1)) == string(text) {
			return at
		}
	}
}

// len returns how many texts there are.
func (n *numbering) len() int { return len(n.ends) }

// text returns the text of a number.
func (n *numbering) text(number uint32) []byte {
	begin := uint64(0)
	if number > 0 {
		begin = n.ends[number-1]
	}
	return n.texts[begin:n.ends[number]]
}

// grow makes twice as many slots.
func (n *numbering) grow() {
	if n.slots == nil {
		n.seed = maphash.MakeSeed()
	}
	old := n.slots
	n.slots = make([]slot, max(2*len(old), 64))
	last := uint32(len(n.slots) - 1)
	for _, s := range old {
		if s.number > 0 {
			at := s.hash & last
			for n.slots[at].number > 0 {
				at = (at + 1) & last
			}
			n.slots[at] = s
		}
	}
}
