package mirror_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// deeper returns by how much the histories are longer and wider than in an everyday run:
// KEYRATE_MODEL_DEPTH, or 0 if it is not set.
func deeper(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("KEYRATE_MODEL_DEPTH"))
	if err != nil && os.Getenv("KEYRATE_MODEL_DEPTH") != "" {
		t.Fatal(err)
	}
	return n
}

// mostStates bounds a search: about 100 MB.
const mostStates = 500_000

// states returns how many states a search visits: all or, in a plain go test ./..., the nearest
// 18,000. That is all states of most models.
func states(depth int) int {
	if depth == 0 {
		return testkit.Count(18_000, mostStates)
	}
	return mostStates * (1 + 20*depth)
}

func perMicro(burst int) ratelimit.Limit {
	return ratelimit.Limit{Rate: 1, Period: time.Microsecond, Burst: burst}
}

// uneven is a limit whose tokens take 3 1/3 microseconds.
func uneven(burst int) ratelimit.Limit {
	return ratelimit.Limit{Rate: 3, Period: 10 * time.Microsecond, Burst: burst}
}

// single is one node with up to two requests in flight, for any time.
func single(l ratelimit.Limit, set func(*modelled)) modelled {
	r := modelled{limit: l, nodes: 1, away: 1, tick: 1, costs: []int{1}, flights: 2, trip: -1}
	if set != nil {
		set(&r)
	}
	return r
}

// simpler are the rules of package memory for unreported debts, which need less state: a
// request waits, or is decided alone, unless it fits with those in flight; an answer adds its
// cost if it was executed when the unreported debt began, or later; and the debt is unreported
// no more with an answer that owes as much as it and all in flight. These rules keep to the
// limit. But a cost that was executed before may have been repaid since, so more may be known
// than is owed.
func simpler(l ratelimit.Limit, set func(*modelled)) modelled {
	return single(l, func(r *modelled) {
		r.noDrain, r.follow, r.adds, r.ends = true, true, addsSince, endsCovered
		set(r)
	})
}

// several are nodes, some of them without the shared store at times, for so many ticks.
func several(nodes, burst, away, ticks, losses, flights int) modelled {
	if ticks == 0 {
		ticks = -1
	}
	return modelled{
		limit: perMicro(burst), nodes: nodes, away: away, tick: 1, costs: []int{1}, flights: flights,
		losses: losses, ticks: ticks, trip: -1, spare: 100,
	}
}

// bound returns how many tokens more than the limit may be admitted. With one node: what is in
// flight at each loss of data. With N nodes: a burst at each loss, and k*s + k*(r/N)*t if k of
// them decide alone for a time t, where s is the burst of the share.
func (m *model) bound() float64 {
	b := m.full.Burst()
	if m.nodes == 1 {
		if m.forgive {
			return 0
		}
		return float64(m.losses * min(b, m.flights))
	}
	share := m.part.Burst()
	rate := float64(max(m.ticks, 0)) * float64(m.tick) * float64(m.unit) / float64(m.parts(m.cost(1))) / float64(m.nodes)
	return float64(m.losses*b+m.away*share) + float64(m.away)*rate
}

// TestModelOfTheBounds finds the history in which most is admitted, of all histories.
func TestModelOfTheBounds(t *testing.T) {
	depth := deeper(t)
	for _, c := range []struct {
		name  string
		rules modelled
		worst string // excess in tokens
	}{
		{"one node", single(perMicro(2), nil), "0"},
		{"one node, three in flight", single(perMicro(2), func(r *modelled) { r.flights, r.trip = 3, 0 }), "0"},
		{"one node, costs 1 and 2", single(perMicro(3), func(r *modelled) { r.costs, r.trip = []int{1, 2}, 0 }), "0"},
		{"one node, 3 per 10 us", single(uneven(2), func(r *modelled) { r.tick, r.trip = 2, 1 }), "0"},
		{"one node, answers lost", single(perMicro(2), func(r *modelled) { r.unknown, r.trip = 1, 1 }), "0"},
		{"one node, data lost, less what was in flight", single(perMicro(2), func(r *modelled) { r.losses, r.forgive = 2, true }), "0"},
		{"one node, data lost", single(perMicro(2), func(r *modelled) { r.losses, r.spare = 1, 100 }), "2"},
		{"one node, data lost twice", single(perMicro(2), func(r *modelled) { r.losses, r.spare = 2, 100 }), "4"},
		{"one node, data lost, one in flight", single(perMicro(2), func(r *modelled) { r.losses, r.flights, r.spare = 1, 1, 100 }), "0"},
		{"one node, simpler", simpler(perMicro(2), func(*modelled) {}), "0"},
		{"one node, simpler, burst 3", simpler(perMicro(3), func(r *modelled) { r.trip = 0 }), "0"},
		{"one node, simpler, burst 3, slow", simpler(perMicro(3), func(r *modelled) { r.trip = 1 }), "0"},
		{"one node, simpler, answers lost", simpler(perMicro(2), func(r *modelled) { r.unknown, r.trip = 1, 1 }), "0"},
		{"one node, simpler, data lost", simpler(perMicro(2), func(r *modelled) { r.losses, r.spare = 1, 100 }), "1"},
		{"2 nodes, none alone", several(2, 2, 0, 3, 0, 1), "0"},
		{"2 nodes, data lost", several(2, 2, 0, 2, 1, 1), "2"},
		{"2 nodes, data lost twice", several(2, 2, 0, 2, 2, 1), "4"},
		{"2 nodes, 1 alone", several(2, 2, 1, 0, 0, 1), "1"},
		{"2 nodes, 1 alone for 2", several(2, 2, 1, 2, 0, 1), "2"},
		{"2 nodes, 1 alone, data lost", several(2, 2, 1, 0, 1, 2), "3"},
		{"2 nodes, both alone", several(2, 2, 2, 0, 0, 2), "1"},
		{"2 nodes, both alone for 3", several(2, 2, 2, 3, 0, 1), "4"},
		{"2 nodes, both alone, burst 3", several(2, 3, 2, 0, 0, 2), "1"},
		{"2 nodes, both alone, burst 4", several(2, 4, 2, 0, 0, 2), "3"},
		{"2 nodes, both alone, data lost", several(2, 2, 2, 0, 1, 2), "3"},
		{"3 nodes, 1 alone", several(3, 3, 1, 1, 0, 1), "1"},
		{"3 nodes, 2 alone", several(3, 3, 2, 0, 0, 1), "2"},
		{"3 nodes, all alone", several(3, 3, 3, 1, 0, 1), "3"},
		{"3 nodes, all alone, data lost", several(3, 3, 3, 0, 1, 1), "4"},
	} {
		if c.rules.ticks != 0 {
			c.rules.ticks = max(c.rules.ticks, 0) + depth
			if c.rules.ticks == 0 {
				c.rules.ticks = -1
			}
		} else {
			c.rules.flights = min(c.rules.flights+depth, modelCalls-c.rules.unknown)
		}
		m := newModel(t, c.rules)
		f := m.search(states(depth))
		worst := fmt.Sprintf("%.3g", m.excess(f.worst))
		t.Logf("%-45s %7d states, %2d steps deep: %s more than the limit; the bound is %.3g", c.name, f.states, f.steps, worst, m.bound())
		switch {
		case f.fault != "":
			t.Errorf("%s: %v", c.name, f.String())
		case m.excess(f.worst) > m.bound():
			t.Errorf("%s: above the bound: %v", c.name, f.String())
		case !f.whole && states(depth) < mostStates:
		case !f.whole:
			t.Errorf("%s: there are more than %d states", c.name, f.states)
		case worst != c.worst && depth == 0:
			t.Errorf("%s: the worst is %s; it was %s before: %v", c.name, worst, c.worst, f.String())
		}
	}
}

// TestModelOfWhatIsKnown: what is known, and what is handed to the shared store, is never more
// than is owed. So the shared store would deny each request that is denied here.
func TestModelOfWhatIsKnown(t *testing.T) {
	depth := deeper(t)
	for _, c := range []struct {
		name  string
		rules modelled
	}{
		{"the shared store never fails", single(perMicro(2), func(r *modelled) { r.away = 0 })},
		{"2 nodes, the shared store never fails", several(2, 2, 0, 3, 0, 1)},
		{"one node", single(perMicro(2), func(r *modelled) { r.trip = 0 })},
		{"one node, 3 per 10 us", single(uneven(2), func(r *modelled) { r.trip, r.tick = 0, 2 })},
		{"one node, data lost", single(perMicro(2), func(r *modelled) { r.trip, r.losses = 0, 2 })},
		// With one charge more for each request that was executed and whose answer was lost.
		{"one node, answers lost", single(perMicro(2), func(r *modelled) { r.trip, r.unknown, r.losses = 0, 1, 1 })},
		// A request that is on its way to the store while another is decided alone may be executed
		// after that. The node cannot know it, so it knows too much by that trip, and no more.
		{"one node, slow", single(perMicro(2), func(r *modelled) { r.trip, r.spare = 1, 1 })},
		{"one node, slower", single(perMicro(3), func(r *modelled) { r.trip, r.spare = 2, 2 })},
		{"2 nodes", several(2, 2, 2, 3, 1, 1)},
		{"2 nodes, two in flight", several(2, 2, 2, 0, 1, 2)},
		{"3 nodes", several(3, 3, 3, 1, 0, 1)},
	} {
		if c.rules.nodes > 1 {
			c.rules.trip, c.rules.spare = 0, 0
			c.rules.ticks += depth
		} else {
			c.rules.flights = min(c.rules.flights+depth, modelCalls-c.rules.unknown)
		}
		c.rules.sound = true
		m := newModel(t, c.rules)
		f := m.search(states(depth))
		t.Logf("%-45s %7d states, %2d steps deep", c.name, f.states, f.steps)
		if f.fault != "" {
			t.Errorf("%s: %v", c.name, f.String())
		} else if !f.whole && states(depth) >= mostStates {
			t.Errorf("%s: there are more than %d states", c.name, f.states)
		}
	}
}

// TestModelOfEachRule: without any one of the rules, some history breaks a bound.
func TestModelOfEachRule(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules modelled
	}{
		{"nothing is handed over", single(perMicro(2), func(r *modelled) { r.noCarry = true })},
		{"the aged debt alone is handed over", single(perMicro(2), func(r *modelled) { r.noTAT, r.sound, r.trip = true, true, 0 })},
		{"the aged debt alone is handed over, dated by the question, and waits in a buffer", single(perMicro(3), func(r *modelled) {
			r.noTAT, r.bySend, r.sound, r.unknown, r.trip, r.spare = true, true, true, 1, 0, 1
		})},
		{"requests in flight do not count", single(perMicro(2), func(r *modelled) { r.noFlight = true })},
		{"requests in flight count only where something is known", single(perMicro(2), func(r *modelled) { r.seldom = true })},
		{"requests are sent while others lack what was admitted since", single(perMicro(2), func(r *modelled) { r.noDrain = true })},
		{"requests are sent while others lack what was admitted since, if they fit", single(perMicro(2), func(r *modelled) { r.noDrain, r.follow = true, true })},
		{"what is known is dated by the question", single(perMicro(2), func(r *modelled) { r.bySend, r.trip = true, 1 })},
		{"answers of one instant are ordered by their questions", single(perMicro(2), func(r *modelled) { r.bySendAt, r.trip = true, 1 })},
		{"an answer adds its cost to an unreported debt: too little", single(perMicro(3), func(r *modelled) { r.adds, r.trip = addsAfter, 0 })},
		{"an answer adds its cost to an unreported debt: too much", single(perMicro(2), func(r *modelled) { r.adds, r.trip, r.sound = addsAfter, 0, true })},
		{"an answer adds nothing to an unreported debt", single(perMicro(2), func(r *modelled) { r.adds = addsNothing })},
		{"an unreported debt ends by the debt since the question", single(perMicro(2), func(r *modelled) { r.ends = endsBySent })},
		{"an unreported debt ends by the debt since the answer", single(perMicro(2), func(r *modelled) { r.ends, r.trip = endsByCame, 0 })},
		{"simpler, and requests are sent that do not fit", simpler(perMicro(2), func(r *modelled) { r.follow, r.trip = false, 0 })},
		{"simpler, but adds only what was executed later", simpler(perMicro(3), func(r *modelled) { r.adds, r.trip = addsAfter, 0 })},
		{"simpler, but ends whatever is in flight", simpler(perMicro(3), func(r *modelled) { r.ends, r.trip = endsByTAT, 0 })},
		{"simpler, but dated by the question", simpler(perMicro(2), func(r *modelled) { r.bySend, r.trip = true, 1 })},
		{"simpler, but what is known is less than it claims", simpler(perMicro(2), func(r *modelled) { r.sound, r.trip = true, 0 })},
		{"a request counts once, if one sent later was answered", single(perMicro(2), func(r *modelled) { r.once, r.unknown, r.trip = onceLater, 1, 0 })},
		{"a request counts once, if any was answered", single(perMicro(2), func(r *modelled) { r.once, r.unknown, r.trip = onceAny, 1, 0 })},
	} {
		m := newModel(t, c.rules)
		f := m.search(mostStates)
		if f.fault == "" {
			t.Errorf("%s: nothing is wrong with it, in %d states (whole: %v)", c.name, f.states, f.whole)
			continue
		}
		t.Logf("%s: %v", c.name, f.String())
	}
}
