package count

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// A Pick is drawn once for a call: it says which stripe counts it, so that callers on several
// cores rarely meet, and whether it is sampled.
type Pick uint32

// Draw returns a Pick.
func Draw() Pick { return Pick(rand.Uint32()) }

// Sampled reports whether a call that was decided in memory is measured: one in 64 is.
func (p Pick) Sampled() bool { return p.Among(63) }

// Among reports whether a call is drawn by a mask of up to 6 bits: one call in mask+1 is. The
// calls that are Sampled are among those of each mask.
func (p Pick) Among(mask uint32) bool { return uint32(p)>>8&mask == 0 }

const stripes = 8

func (p Pick) stripe() int { return int(p % stripes) }

// Counts are what a limiter, and those made from it, have counted. The zero Counts are ready
// to use, by several goroutines.
type Counts struct {
	outcomes [stripes]struct {
		n [metrics.Outcomes]atomic.Int64
		_ [128 - 8*metrics.Outcomes]byte
	}
	series atomic.Pointer[[]*Series] // by the number of their Names
	took   [metrics.Outcomes]histogram

	mu         sync.Mutex
	errors     map[string]int64 // by class
	labels     map[string]bool  // the names of limits that have label sets of their own
	recordings atomic.Pointer[[]metrics.Recording]
}

// A Series counts the calls under the same Names.
type Series struct {
	names   *Names
	labels  [store.MaxLimits]string
	stripes [stripes]stripe
	used    [store.MaxLimits]histogram
}

// A stripe has a cell for each kind of decision: what it was based on, its Mode, and which
// limits had no room, one bit each.
type stripe struct {
	cells [sources][modes][1 << store.MaxLimits]atomic.Int64
	// priced are calls for which all limits had room, but which were not charged one token; they
	// are in no cell. What they were charged is in tokens. So each number only grows.
	priced [sources][modes]atomic.Int64
	tokens atomic.Int64
	_      [24]byte
}

const sources = 4

// A Mode is what a decision meant.
type Mode uint8

// The modes.
const (
	Enforced Mode = iota
	Shadow        // the call was admitted, whatever was decided
	Beside        // of a limit that was watched beside others, which decided the call
	modes
)

// A Decision is what is counted about a call that was decided.
type Decision struct {
	Names  *Names
	Source store.Source
	Mode   Mode
	Lacked uint8 // which limits had no room, one bit each
	Tokens int   // that were charged if none lacked room
}

// Add counts a decision.
func (c *Counts) Add(p Pick, d Decision) {
	s := &c.Of(d.Names).stripes[p.stripe()]
	if d.Tokens != 1 && d.Lacked == 0 {
		s.priced[(d.Source-1)%sources][d.Mode%modes].Add(1)
		s.tokens.Add(int64(d.Tokens))
		return
	}
	s.cells[(d.Source-1)%sources][d.Mode%modes][d.Lacked%(1<<store.MaxLimits)].Add(1)
}

// AddOne is Add for a decision of a store by the only limit of a Series, which is enforced.
func (s *Series) AddOne(p Pick, denied bool, tokens int) {
	stripe := &s.stripes[p.stripe()]
	if denied {
		stripe.cells[store.FromStore-1][Enforced][1].Add(1)
		return
	}
	if tokens != 1 {
		stripe.priced[store.FromStore-1][Enforced].Add(1)
		stripe.tokens.Add(int64(tokens))
		return
	}
	stripe.cells[store.FromStore-1][Enforced][0].Add(1)
}

// Charged counts tokens that are charged apart from a decision.
func (c *Counts) Charged(n *Names, tokens int) {
	c.Of(n).stripes[Draw().stripe()].tokens.Add(int64(tokens))
}

// Ended counts a call that no limit decided.
func (c *Counts) Ended(p Pick, o metrics.Outcome) { c.outcomes[p.stripe()].n[o].Add(1) }

// maxClasses bounds the classes of errors, which stores may invent.
const maxClasses = 32

// Failed counts an error of a class.
func (c *Counts) Failed(class string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.errors == nil {
		c.errors = make(map[string]int64)
	}
	if _, ok := c.errors[class]; !ok && len(c.errors) >= maxClasses {
		class = store.ClassOther
	}
	c.errors[class]++
}

// Of returns the Series of n.
func (c *Counts) Of(n *Names) *Series {
	if all := c.series.Load(); all != nil && n.id < len(*all) {
		if s := (*all)[n.id]; s != nil {
			return s
		}
	}
	return c.begin(n)
}

func (c *Counts) begin(n *Names) *Series {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Series
	if old := c.series.Load(); old != nil {
		all = append(all, *old...)
	}
	for len(all) <= n.id {
		all = append(all, nil)
	}
	if all[n.id] == nil {
		s := &Series{names: n}
		for i, l := range n.limits {
			s.labels[i] = c.label(l.text)
		}
		all[n.id] = s
		c.series.Store(&all)
	}
	return all[n.id]
}
