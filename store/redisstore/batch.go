package redisstore

import (
	"slices"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A batch is one call of the script for several decisions: its arguments, which take.lua
// describes, and the way to read its answer.
type batch struct {
	calls []*call
	parts []*call // the calls, each after its releases
	keys  []any
	args  []any
}

// batchesByKey sorts calls into batches, one for each API key and its limits. In a Cluster
// only the buckets of one key are certain to be in one slot. While a slot moves, Redis
// wants all keys of a script call in one place, so a call must not depend on the buckets
// of other limits.
func batchesByKey(calls []*call) []batch {
	type group struct {
		tag   string
		first *store.Limit
		n     int
	}
	groups := make(map[group][]*call, len(calls))
	var order []group
	for _, c := range calls {
		g := group{c.tag, &c.request.Limits[0], len(c.request.Limits)}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], c)
	}
	batches := make([]batch, len(order))
	for i, g := range order {
		batches[i] = newBatch(groups[g])
	}
	return batches
}

// The forms of what follows the kinds.
const (
	formFull  = iota // nothing if all requests are alike and nothing is known
	formMixed        // like formFull, and two limits of one name have different intervals
	formBrief        // the requests are alike, and debts have no fraction
)

// noTAT in brief is a TAT that is not known.
const noTAT = 1<<53 - 1

// newBatch returns a batch of calls.
func newBatch(calls []*call) batch {
	b := batch{calls: calls, parts: withReleases(calls), keys: make([]any, 0, len(calls)), args: make([]any, 0, 8)}
	kinds := kindsOf(b.parts)
	known := slices.ContainsFunc(calls, func(c *call) bool { return c.request.Known != nil })
	alike := len(kinds) == 1 && kinds[0].mode < modeLease
	form := formFull
	switch {
	case mix(kinds):
		form = formMixed
	case known && alike && kinds[0].whole():
		form = formBrief
	}
	b.args = append(b.args, form, len(kinds))
	for _, k := range kinds {
		b.addKind(k)
	}
	for _, c := range b.parts {
		for i := range c.request.Limits {
			b.keys = append(b.keys, c.buckets[i])
		}
		switch {
		case form == formBrief:
			b.addKnown(c, true)
		case known || !alike:
			b.addRequest(c, 1+slices.IndexFunc(kinds, c.kind().is))
		}
	}
	return b
}

// withReleases returns the calls, each after its releases.
func withReleases(calls []*call) []*call {
	if !slices.ContainsFunc(calls, func(c *call) bool { return len(c.releases) > 0 }) {
		return calls
	}
	var parts []*call
	for _, c := range calls {
		parts = append(append(parts, c.releases...), c)
	}
	return parts
}

// addRequest adds one request of the nth kind.
func (b *batch) addRequest(c *call, n int) {
	if c.mode >= modeSettle {
		b.args = append(b.args, n, number(c.held), number(c.actual))
		for i := range c.request.Limits {
			b.args = append(b.args, c.names[i])
		}
		return
	}
	if c.request.Known != nil {
		n = -n
	}
	b.args = append(b.args, n)
	if c.mode == modeLease {
		b.args = append(b.args, number(c.lease))
	}
	if c.request.Known != nil {
		b.addKnown(c, false)
	}
}

// addKnown adds what a request knows of its buckets, in brief or not.
func (b *batch) addKnown(c *call, brief bool) {
	var knowledge store.Knowledge
	if c.request.Known != nil {
		knowledge = *c.request.Known
	}
	for i := range c.request.Limits {
		limit, known := &c.request.Limits[i], knowledge[i]
		debt, tat := known.Debt, known.TAT
		switch {
		case !limit.Same(tat): // it proves nothing about this interval
			debt, tat, known.Seen = gcra.Debt{}, gcra.TAT{}, 0
		case tat.Frac >= tat.Den, tat.Frac > 0 && tat.Den != limit.Denominator():
			tat.Micros, tat.Frac = tat.Micros+int64(min(tat.Den, 1)), 0
		}
		if !brief {
			b.args = append(b.args, debt.Micros, debt.Frac, tat.Micros, tat.Frac, min(tat.Den, 1), known.Seen)
			continue
		}
		if tat.Den == 0 && debt != (gcra.Debt{}) {
			tat.Micros = noTAT
		}
		b.args = append(b.args, debt.Micros+int64(min(debt.Frac, 1)), tat.Micros, known.Seen)
	}
}
