package replay

// A batch is some entries on their way from the parser to where their requests are counted.
type batch struct {
	texts []byte // the key and the plan of each
	items []item
	seen  uint64 // keeps the reading of look from being optimized away
}

// An item is an entry whose texts are in the batch: its key up to plan, and its plan up to end.
type item struct {
	at             int64
	cost           uint32
	key, plan, end int
}

// batchLength is how many entries are in a full batch.
const batchLength = 512

func newBatch() *batch { return &batch{items: make([]item, 0, batchLength)} }

func (b *batch) full() bool { return len(b.items) == batchLength }

func (b *batch) add(e entry) {
	i := item{at: e.at, cost: e.cost, key: len(b.texts)}
	b.texts = append(b.texts, e.key...)
	i.plan = len(b.texts)
	b.texts = append(b.texts, e.plan...)
	i.end = len(b.texts)
	b.items = append(b.items, i)
}

// key returns the key of an item.
func (b *batch) key(i *item) []byte { return b.texts[i.key:i.plan] }

// look returns the hashes of the keys. It also reads from n what the look-up of each key is going to
// read: the processor waits for these reads all at a time, and for those of look-ups one by one.
func (b *batch) look(n *numbering) []uint32 {
	hashes := make([]uint32, len(b.items))
	for i := range b.items {
		hashes[i] = n.hash(b.key(&b.items[i]))
	}
	places := make([]uint64, len(b.items))
	for i, hash := range hashes {
		places[i] = uint64(n.guess(hash).number)
	}
	for i, number := range places {
		if number > 0 {
			places[i] = n.ends[number-1]
		}
	}
	for _, end := range places {
		if end > 0 {
			b.seen += uint64(n.texts[end-1])
		}
	}
	return hashes
}
