package lease

import (
	"math"
	"sync"
	"time"
)

// lives is how many lives of a lease the rate of arrivals is averaged over.
const lives = 4

// A tally counts the tokens that callers ask for, denied ones included. What was counted fades:
// after four lives, a third is left. So it is their rate times four lives.
type tally float64

// after returns the tally after a time.
func (t tally) after(passed int64, life time.Duration) tally {
	return t * tally(math.Exp(-float64(max(passed, 0))/float64(lives*life)))
}

// add counts n tokens that came one after the other in a time until now.
func (t tally) add(n, passed int64, life time.Duration) tally {
	x := float64(max(passed, 0)) / float64(lives*life)
	if x < 1e-6 {
		return t + tally(n)
	}
	return t.after(passed, life) + tally(float64(n)*(1-math.Exp(-x))/x)
}

// wants returns how many tokens callers ask for in half a life.
func (t tally) wants() int { return int(min(float64(t)/(2*lives), math.MaxInt32)) }

// A sketch has the tallies of keys without a lease, in a megabyte: those that ask for the least
// are forgotten first.
type sketch struct{ sets [1 << setBits]set }

const setBits = 14

// mostBack is by how much the clock reading of a call may be before that of one counted earlier.
const mostBack = 1 << 10 // units of a way, a second

// A set has the tallies of a few keys.
type set struct {
	mu   sync.Mutex
	ways [4]way
	_    [8]byte
}

// A way is the tally of one key.
type way struct {
	tag   uint32 // of the key; 0 if there is none
	at    uint32 // when it was counted, in units of 2^20 ns
	tally float32
}

// count counts n tokens for a key, and returns its tally.
func (s *sketch) count(hash uint64, n tally, now int64, life time.Duration) tally {
	set, tag, at := &s.sets[hash&(1<<setBits-1)], uint32(hash>>32)|1, uint32(now>>20)
	set.mu.Lock()
	defer set.mu.Unlock()
	least, fewest := &set.ways[0], math.Inf(1)
	for i := range set.ways {
		w := &set.ways[i]
		if w.at-at < mostBack { // a call whose clock reading is later was counted first
			at = w.at
		}
		left := float64(tally(w.tally).after(int64(at-w.at)<<20, life))
		if w.tag == tag {
			w.at, w.tally = at, float32(left)+float32(n)
			return tally(w.tally)
		}
		if left < fewest {
			least, fewest = w, left
		}
	}
	*least = way{tag, at, float32(n)}
	return n
}
