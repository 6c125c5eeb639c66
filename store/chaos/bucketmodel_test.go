package chaos_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A token of the histories takes an hour, longer than any history: each call takes whole
// tokens of those that are left, at any time. So the effect of a call whose answer was lost
// is known although its time is not.
var historyLimit = ratelimit.PerHour(1).WithBurst(historyBurst)

const (
	historyBurst = 40
	historyToken = int64(time.Hour / time.Microsecond)
)

// An op is a call in a history: its key and cost.
type op struct {
	key  string
	cost int
}

// An outcome is the answer to a call. A call whose answer was lost may be charged once, at
// any later time, or never.
type outcome struct {
	lost     bool
	decision store.Decision
}

// A bucketState is a bucket in the model: when it is full, and the time of its last answer,
// in microseconds. The key's first call makes it; see linearHistory.
type bucketState struct{ full, seen int64 }

// bucketModel reports whether calls have an order, within the times of each call, in which
// one bucket gives exactly their answers.
var bucketModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(op).key //nolint:errcheck // it is what linearHistory put there
			keys[key] = append(keys[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return bucketState{} },
	Step: func(state, input, output any) (bool, any) {
		b, o, got := state.(bucketState), input.(op), output.(outcome) //nolint:errcheck // as above
		cost, capacity := int64(o.cost)*historyToken, historyBurst*historyToken
		if got.lost {
			// The part of the last token that has come back is unknown, but less than a token.
			taken := (b.full - b.seen + historyToken - 1) / historyToken
			if taken+int64(o.cost) <= historyBurst {
				b.full += cost
			}
			return true, b
		}
		now := got.decision.Now
		debt := max(0, b.full-now)
		after := debt + cost
		if allowed := after <= capacity; now < b.seen || got.decision.Allowed != allowed {
			return false, b
		} else if allowed {
			debt = after
		}
		if got.decision.Debts[0] != (gcra.Debt{Micros: debt}) {
			return false, b
		}
		if after <= capacity && cost > 0 {
			b.full = now + debt
		}
		b.seen = now
		return true, b
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// TestBucketModel is the control of the model: small histories with a known order.
func TestBucketModel(t *testing.T) {
	const start = 1_000_000
	call := func(from, to int64, cost int, now int64, allowed bool, tokens, micros int64) porcupine.Operation {
		return porcupine.Operation{Input: op{"k", cost}, Call: from, Return: to, Output: outcome{decision: store.Decision{
			Allowed: allowed, Now: start + now, Debts: [store.MaxLimits]gcra.Debt{{Micros: tokens*historyToken + micros}},
		}}}
	}
	lost := func(from int64, cost int) porcupine.Operation {
		return porcupine.Operation{Input: op{"k", cost}, Call: from, Return: forever, Output: outcome{lost: true}}
	}
	first := call(0, 1, 1, 0, true, 1, 0)
	for _, c := range []struct {
		name    string
		history []porcupine.Operation
		want    bool
	}{
		{"one after the other", []porcupine.Operation{first, call(2, 3, 2, 5, true, 3, -5), call(4, 5, 38, 6, false, 3, -6)}, true},
		{"a charge is missing", []porcupine.Operation{first, call(2, 3, 2, 5, true, 3, -5), call(4, 5, 0, 6, true, 1, -6)}, false},
		{"a charge too many", []porcupine.Operation{first, call(2, 3, 2, 5, true, 5, -5)}, false},
		{"a microsecond", []porcupine.Operation{first, call(2, 3, 2, 5, true, 3, -4)}, false},
		{"admitted above the burst", []porcupine.Operation{first, call(2, 3, 40, 5, true, 41, -5)}, false},
		{"two at once", []porcupine.Operation{first, call(2, 9, 1, 7, true, 3, -7), call(3, 8, 1, 6, true, 2, -6)}, true},
		{"two at once, both as if first", []porcupine.Operation{first, call(2, 9, 1, 7, true, 2, -7), call(3, 8, 1, 6, true, 2, -6)}, false},
		{"lost, and charged", []porcupine.Operation{first, lost(2, 3), call(9, 10, 1, 8, true, 5, -8)}, true},
		{"lost, and never charged", []porcupine.Operation{first, lost(2, 3), call(9, 10, 1, 8, true, 2, -8)}, true},
		{"lost, and charged later", []porcupine.Operation{first, lost(2, 3), call(9, 10, 1, 8, true, 2, -8), call(11, 12, 0, 9, true, 5, -9)}, true},
		{"lost, and charged twice", []porcupine.Operation{first, lost(2, 3), call(9, 10, 1, 8, true, 8, -8)}, false},
		{"lost, and given back", []porcupine.Operation{first, lost(2, 3), call(9, 10, 0, 8, true, 4, -8), call(11, 12, 0, 9, true, 1, -9)}, false},
		{"charged before it was made", []porcupine.Operation{first, call(2, 3, 1, 5, true, 5, -5), lost(4, 3)}, false},
	} {
		slices.SortFunc(c.history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		if got := porcupine.CheckOperations(bucketModel, c.history); got != c.want {
			t.Errorf("%s: possible is %v; want %v", c.name, got, c.want)
		}
	}
}
