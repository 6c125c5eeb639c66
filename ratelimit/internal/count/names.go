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

// The Names of the program. Programs make policies without end, so their number is bounded.
var (
	mu    sync.Mutex
	known = make(map[string]*Names)
)

const (
	maxNames = 1000
	other    = "other"
)

// NamesOf returns the Names of limits.
func NamesOf(limits []store.Limit) *Names {
	all := make([]limitName, len(limits))
	for i := range limits {
		all[i] = limitName{limits[i].Name, limits[i].Loan()}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := known[idOf(all)]; n != nil {
		return n
	}
	if len(known) >= maxNames {
		for i := range all {
			all[i].text = other
		}
		if n := known[idOf(all)]; n != nil {
			return n
		}
	}
	n := &Names{id: len(known), limits: all}
	known[idOf(all)] = n
	return n
}

// idOf returns a text that is the same for the same names alone: none has a control character.
func idOf(limits []limitName) string {
	var id strings.Builder
	for _, l := range limits {
		id.WriteString(l.text)
		if l.loan {
			id.WriteByte(1)
		}
		id.WriteByte(0)
	}
	return id.String()
}

// Label returns the name of a limit as a label, or other if there are too many.
func (c *Counts) Label(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.label(name)
}

func (c *Counts) label(name string) string {
	if !c.labels[name] {
		if len(c.labels) >= metrics.MaxLimits {
			return other
		}
		if c.labels == nil {
			c.labels = make(map[string]bool)
		}
		c.labels[name] = true
	}
	return name
}
