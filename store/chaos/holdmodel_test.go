package chaos_test

import (
	"fmt"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A holdOp is a call in a history with holds.
type holdOp struct {
	key   string
	kind  string // take, hold, settle or renew
	n     int    // the cost, or what was held
	price int    // of a settlement
	name  int64  // of the hold, as its holder knows it
}

// A holdOutcome is the answer to a call.
type holdOutcome struct {
	lost    bool
	allowed bool
	now     int64
	debt    int64
	held    int
	name    int64 // after a hold or a renewal
}

// A slotState is the present slot of a class: its end, 0 if nothing is held, or unknownEnd if a
// call whose answer was lost has begun it.
type slotState struct {
	end int64
	n   int
}

const unknownEnd = -1

// A holdState is a bucket in the model. No slot ends while a history lasts.
type holdState struct {
	full, seen int64
	slots      [gcra.Classes]slotState
}

func (b *holdState) held() int { return b.slots[0].n + b.slots[1].n }

// release takes n tokens out of the slot of a name, if it is the present one.
func (b *holdState) release(name int64, n int) {
	s := &b.slots[name%gcra.Classes]
	if s.n == 0 || s.end != name/gcra.Classes {
		return
	}
	if s.n -= min(n, s.n); s.n == 0 {
		s.end = 0
	}
}

// hold adds n tokens to the present slot of a class. It returns false if the store cannot
// have returned this name at this time. If the answer was lost, both are 0.
func (b *holdState) hold(class gcra.Class, n int, now, name int64) bool {
	s := &b.slots[class]
	s.n += n
	switch {
	case now == 0:
		if s.end == 0 {
			s.end = unknownEnd
		}
		return true
	case name%gcra.Classes != int64(class):
		return false
	case s.end == 0:
		s.end = now + class.Length()
	case s.end == unknownEnd: // this answer reveals it
		s.end = name / gcra.Classes
		return s.end <= now+class.Length() && s.end > now
	}
	return name/gcra.Classes == s.end
}

// holdModel reports whether calls have an order, within the times of each call, in which one
// bucket that lends tokens gives exactly their answers.
var holdModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		keys := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(holdOp).key //nolint:errcheck // it is what holdHistory put there
			keys[key] = append(keys[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return holdState{} },
	Step: func(state, input, output any) (bool, any) {
		b, o, got := state.(holdState), input.(holdOp), output.(holdOutcome) //nolint:errcheck // as above
		if got.lost {
			b.lose(o)
			return true, b
		}
		ok := got.now >= b.seen && b.step(o, got)
		return ok, b
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// step executes a call, and reports whether its answer is right.
func (b *holdState) step(o holdOp, got holdOutcome) bool {
	b.seen = got.now
	debt := max(0, b.full-got.now)
	ok := true
	switch o.kind {
	case "take", "hold":
		allowed := o.n == 0 || debt+int64(o.n+b.held())*historyToken <= historyBurst*historyToken
		if got.allowed != allowed {
			return false
		}
		if !allowed || o.n == 0 {
			break
		}
		if o.kind == "take" {
			debt += int64(o.n) * historyToken
		} else {
			ok = b.hold(gcra.Short, o.n, got.now, got.name)
		}
	case "settle":
		b.release(o.name, o.n)
		debt += int64(o.price) * historyToken
	case "renew":
		b.release(o.name, o.n)
		ok = b.hold(gcra.Long, o.n, got.now, got.name)
	}
	b.full = got.now + debt
	return ok && got.debt == debt && (o.kind == "settle" || o.kind == "renew" || got.held == b.held())
}

// lose executes a call whose answer was lost, at a time that is not known.
func (b *holdState) lose(o holdOp) {
	switch o.kind {
	case "take", "hold":
		// The part of the last token that has come back is unknown, but less than a token.
		taken := max(0, b.full-b.seen+historyToken-1) / historyToken
		if taken+int64(o.n+b.held()) > historyBurst || o.n == 0 {
			return
		}
		if o.kind == "hold" {
			b.hold(gcra.Short, o.n, 0, 0)
			return
		}
		b.full += int64(o.n) * historyToken
	case "settle":
		b.release(o.name, o.n)
		b.full += int64(o.price) * historyToken
	case "renew":
		b.release(o.name, o.n)
		b.hold(gcra.Long, o.n, 0, 0)
	}
}

// TestHoldModel is the control of the model: small histories with a known order.
func TestHoldModel(t *testing.T) {
	const start = 1_000_000_000
	var history []porcupine.Operation
	at := int64(0)
	add := func(o holdOp, got holdOutcome) {
		o.key, got.now = "k", start+at
		if got.debt > 0 { // tokens, of a call at the start
			got.debt = got.debt*historyToken - at
		}
		history = append(history, porcupine.Operation{Input: o, Call: 10 * at, Return: 10*at + 1, Output: got})
		at++
	}
	lose := func(o holdOp) {
		o.key = "k"
		history = append(history, porcupine.Operation{Input: o, Call: 10 * at, Return: forever, Output: holdOutcome{lost: true}})
		at++
	}
	take := func(n int, allowed bool, debt int64, held int) {
		add(holdOp{kind: "take", n: n}, holdOutcome{allowed: allowed, debt: debt, held: held})
	}
	hold := func(n, held int, end int64) int64 {
		name := (start + end + gcra.Short.Length()) * gcra.Classes
		add(holdOp{kind: "hold", n: n}, holdOutcome{allowed: true, debt: 1, held: held, name: name})
		return name
	}
	settle := func(name int64, n, price int, debt int64) {
		add(holdOp{kind: "settle", n: n, price: price, name: name}, holdOutcome{debt: debt})
	}
	for _, c := range []struct {
		name string
		make func()
		want bool
	}{
		{"a hold is settled", func() { settle(hold(3, 3, 1), 3, 2, 3); take(0, true, 3, 0) }, true},
		{"a hold takes room", func() { hold(30, 30, 1); take(10, false, 1, 30); take(9, true, 10, 30) }, true},
		{"a hold takes no room", func() { hold(30, 30, 1); take(10, true, 11, 30) }, false},
		{"a hold of more than there is", func() { hold(40, 40, 1) }, false},
		{"a hold under the name of another slot", func() { hold(3, 3, 2) }, false},
		{"two in a slot", func() { hold(3, 3, 1); hold(2, 5, 1) }, true},
		{"a settlement that charges what was held", func() { settle(hold(3, 3, 1), 3, 2, 4) }, false},
		{"a settlement that frees nothing", func() { settle(hold(3, 3, 1), 3, 2, 3); take(0, true, 3, 3) }, false},
		{"a settlement twice", func() { a := hold(3, 3, 1); hold(3, 6, 1); settle(a, 3, 2, 3); take(0, true, 5, 0) }, false},
		{"a settlement that was lost, and executed", func() {
			lose(holdOp{kind: "settle", n: 3, price: 2, name: hold(3, 3, 1)})
			take(0, true, 3, 0)
		}, true},
		{"a settlement that was lost, and not executed", func() {
			lose(holdOp{kind: "settle", n: 3, price: 2, name: hold(3, 3, 1)})
			take(0, true, 1, 3)
		}, true},
		{"a settlement that was lost, and half executed", func() {
			lose(holdOp{kind: "settle", n: 3, price: 2, name: hold(3, 3, 1)})
			take(0, true, 1, 0)
		}, false},
		{"a settlement that was lost, and executed twice", func() {
			a := hold(3, 3, 1)
			hold(3, 6, 1)
			lose(holdOp{kind: "settle", n: 3, price: 2, name: a})
			take(0, true, 5, 0)
		}, false},
		{"a hold that was lost, and others in its slot", func() {
			lose(holdOp{kind: "hold", n: 3})
			settle(hold(2, 5, 1), 2, 0, 1)
			take(0, true, 1, 3)
		}, true},
		{"a renewal", func() {
			a := hold(3, 3, 1)
			b := (start+at+gcra.Long.Length())*gcra.Classes + 1
			add(holdOp{kind: "renew", n: 3, name: a}, holdOutcome{debt: 1, name: b})
			take(0, true, 1, 3)
			settle(b, 3, 1, 2)
			take(0, true, 2, 0)
		}, true},
		{"a renewal that was lost, and executed", func() {
			a := hold(3, 3, 1)
			lose(holdOp{kind: "renew", n: 3, name: a})
			settle(a, 3, 1, 2)
			take(0, true, 2, 3) // counted until its slot ends
		}, true},
	} {
		history, at = nil, 0
		take(1, true, 1, 0)
		c.make()
		if got := porcupine.CheckOperations(holdModel, history); got != c.want {
			t.Errorf("%s: possible is %v; want %v", c.name, got, c.want)
		}
	}
}
