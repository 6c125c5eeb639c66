package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/keyrate/keyrate/store"
)

var modelClauses = []clause{
	{name: "Model", promise: "every answer equals the model's", check: checkModel},
}

// checkModel compares the store with the model over random histories.
func checkModel(p *probe) {
	seed, err := Seed()
	if err != nil {
		p.fail("%v", err)
	}
	p.t.Logf("KEYRATE_SEED=%#x", seed)
	m := NewModel()
	m.CoarseReset, m.BriefReset = p.harness.CoarseReset, p.harness.BriefReset
	histories := p.harness.Histories
	if histories == 0 {
		histories = 100
	}
	for i := range histories {
		h := NewHistory(rand.NewPCG(seed, uint64(i)), HistoryConfig{
			Prefix: fmt.Sprintf("model %d/", i),
			// A clock of 64 bits in nanoseconds reaches 292 years.
			Span: thousandYears / 10 / int64(histories),
		})
		p.advance(time.Microsecond) // no history begins in the microsecond of a Reset
		if err := p.follow(m, h, 100); err != nil {
			p.fail("KEYRATE_SEED=%#x, history %d: %v", seed, i, err)
		}
	}
}

// follow performs the steps of a history on the store and the model.
func (p *probe) follow(m *Model, h *History, steps int) error {
	var done trail
	for range steps {
		s := h.Next()
		done.add(s)
		p.advance(s.Wait)
		if s.Reset {
			p.reset(s.Request.Key, s.Request.Limits)
			// The model needs the time of the Reset.
			d := p.take(s.Request.Key, s.Request.Limits, 0)
			m.Reset(d.Now, s.Request.Key, s.Request.Limits)
			p.advance(time.Microsecond) // observations from now on are later than the Reset
			h.Saw(s, d)
			continue
		}
		got := p.request(s.Request)
		want := m.Take(got.Now, s.Request)
		if err := Compare(s.Request.Limits, got, want); err != nil {
			return fmt.Errorf("%w\nafter the steps\n%s", err, &done)
		}
		h.Saw(s, got)
	}
	return nil
}

// Compare returns an error unless got and want have the same Allowed, Now and Debts. It
// does not compare Overflow.
func Compare(policy []store.Limit, got, want store.Decision) error {
	if got.Allowed == want.Allowed && got.Debts == want.Debts && got.Now == want.Now {
		return nil
	}
	return fmt.Errorf("answered allowed=%v debts=%v at %d; want allowed=%v debts=%v at %d",
		got.Allowed, debts(policy, got), got.Now, want.Allowed, debts(policy, want), want.Now)
}

// A trail holds the last steps of a history.
type trail struct {
	steps []Step
	count int
}

func (t *trail) add(s Step) {
	t.count++
	if len(t.steps) == 10 {
		t.steps = append(t.steps[:0], t.steps[1:]...)
	}
	t.steps = append(t.steps, s)
}

func (t *trail) String() string {
	var b strings.Builder
	for i, s := range t.steps {
		fmt.Fprintf(&b, "%4d  %v\n", t.count-len(t.steps)+i, s)
	}
	return b.String()
}
