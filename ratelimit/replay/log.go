package replay

import (
	"cmp"
	"slices"
	"time"
)

// A Log is the requests of a log, by key and in the order of time. It does not change, and is safe
// for concurrent use. Make one with a [Reader].
type Log struct {
	config  Config
	summary Summary
	keys    numbering
	planOf  []uint32 // by key
	plans   []string // by number; the first is "", no plan
	from    []int    // where the requests of a key begin; one more is their end
	times   []int64  // in microseconds since 1970
	costs   []uint32 // nil if each is 1
	first   int64
	last    int64
}

// Summary returns what was read.
func (l *Log) Summary() Summary { return l.summary }

// newLog sorts what a reader has read, and takes it away from there.
func newLog(r *Reader) *Log {
	l := &Log{config: r.config, summary: r.summary, keys: r.keys, planOf: r.planOf}
	l.keys.slots, r.keys, r.texts, r.keyOf = nil, numbering{}, numbering{}, nil // may be collected
	l.plans = make([]string, len(r.plans))
	for name, n := range r.plans {
		l.plans[n] = name
	}
	l.group(r.events)
	l.first, l.last = lastInstant, 0
	for key := range l.keys.len() {
		times, costs := l.requests(key)
		if costs == nil {
			sortTimes(times)
		} else {
			sortPriced(times, costs)
		}
		if l.config.Spread {
			spread(times)
		}
		l.first, l.last = min(l.first, times[0]), max(l.last, times[len(times)-1])
	}
	l.summary.Requests, l.summary.Keys = int64(len(l.times)), l.keys.len()
	l.summary.First, l.summary.Last = time.UnixMicro(l.first).UTC(), time.UnixMicro(l.last).UTC()
	return l
}

// group puts the requests of each key together, in the order of the lines.
func (l *Log) group(blocks [][]event) {
	l.from = make([]int, l.keys.len()+1)
	for _, block := range blocks {
		for i := range block {
			l.from[block[i].key]++
		}
	}
	end := 0
	for key, n := range l.from { // to where the requests of a key end; it is filled from there
		end += n
		l.from[key] = end
	}
	l.times = make([]int64, end)
	if l.config.Cost != "" {
		l.costs = make([]uint32, end)
	}
	for i, block := range slices.Backward(blocks) {
		for _, e := range slices.Backward(block) {
			l.from[e.key]--
			at := l.from[e.key]
			l.times[at] = e.at
			if l.costs != nil {
				l.costs[at] = e.cost
			}
		}
		blocks[i] = nil // may be collected
	}
}

// requests returns the times and costs of a key; costs is nil if each is 1.
func (l *Log) requests(key int) (times []int64, costs []uint32) {
	from, to := l.from[key], l.from[key+1]
	if l.costs != nil {
		costs = l.costs[from:to]
	}
	return l.times[from:to], costs
}

// key returns the key of a number.
func (l *Log) key(number int) string { return string(l.keys.text(uint32(number))) }

// planName returns the name of the plan of a key, "" if it has none.
func (l *Log) planName(key int) string {
	if n := l.planOf[key]; n != ownLimits {
		return l.plans[n]
	}
	return ""
}

func sortTimes(times []int64) {
	if !slices.IsSorted(times) {
		slices.Sort(times)
	}
}

// sortPriced sorts times and their costs. Those of one instant keep their order.
func sortPriced(times []int64, costs []uint32) {
	if slices.IsSorted(times) {
		return
	}
	type priced struct {
		at   int64
		cost uint32
	}
	sorted := make([]priced, len(times))
	for i := range times {
		sorted[i] = priced{times[i], costs[i]}
	}
	slices.SortStableFunc(sorted, func(a, b priced) int { return cmp.Compare(a.at, b.at) })
	for i, p := range sorted {
		times[i], costs[i] = p.at, p.cost
	}
}

// spread moves requests at one whole second apart, evenly over the second.
func spread(times []int64) {
	const second = 1_000_000
	for from := 0; from < len(times); {
		to := from + 1
		for to < len(times) && times[to] == times[from] {
			to++
		}
		if times[from]%second == 0 {
			for i := from + 1; i < to; i++ {
				times[i] += second * int64(i-from) / int64(to-from)
			}
		}
		from = to
	}
}
