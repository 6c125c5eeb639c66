// Package count counts the decisions of limiters. A decision is one atomic addition to a cell
// that stands for all that is counted about it; what the cells mean is worked out when they
// are read.
package count

import (
	"strings"
	"sync"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// Names are those of the limits of a policy, in its order. There is one for all policies with
// the same names: counts are found by its number.
type Names struct {
	id     int
	limits []limitName
}

type limitName struct {
	text string
	loan bool
}

// The Names of the program. Programs make policies without end, so their number is bounded,
// and so is that of the texts in them.
var (
	mu    sync.Mutex
	known = make(map[string]*Names)
	texts = make(map[string]bool)
)

const (
	maxNames = 1000
	other    = "other"
)

// NamesOf returns the Names of limits.
func NamesOf(limits []store.Limit) *Names {
	mu.Lock()
	defer mu.Unlock()
	all := make([]limitName, len(limits))
	var id strings.Builder
	for i := range limits {
		all[i] = limitName{bounded(limits[i].Name), limits[i].Loan()}
		if len(known) >= maxNames {
			all[i].text = other
		}
		id.WriteString(all[i].text)
		if all[i].loan {
			id.WriteByte(1)
		}
		id.WriteByte(0)
	}
	n := known[id.String()]
	if n == nil { // at most 30 more than maxNames: all their texts are other
		n = &Names{id: len(known), limits: all}
		known[id.String()] = n
	}
	return n
}

// Text returns the name of the ith limit as a label.
func (n *Names) Text(i int) string { return n.limits[i].text }

// Text returns the name of a limit as a label.
func Text(name string) string {
	mu.Lock()
	defer mu.Unlock()
	return bounded(name)
}

// bounded returns the text, or other if there are too many.
func bounded(text string) string {
	if !texts[text] {
		if len(texts) >= metrics.MaxLimits {
			return other
		}
		texts[text] = true
	}
	return text
}
