package storetest

import (
	"context"
	"errors"
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
	m.BriefReset = p.harness.BriefReset
	histories := p.harness.Histories
	if histories == 0 {
		histories = 100
	}
	for i := range histories {
		h := NewHistory(rand.NewPCG(seed, uint64(i)), HistoryConfig{
			Prefix: fmt.Sprintf("model %d/", i),
			Holds:  store.CanHold(p.store) && i%2 == 1,
			Homes:  i%4 >= 2,
			// A clock of 64 bits in nanoseconds reaches 292 years.
			Span: twoHundredYears / 2 / int64(histories),
		})
		p.advance(time.Microsecond) // no history begins in the microsecond of a Reset
		if err := p.follow(m, h, 100); err != nil {
			p.fail("KEYRATE_SEED=%#x, history %d: %v", seed, i, err)
		}
	}
}

// follow performs the steps of a history on the store and the model.
func (p *probe) follow(m *Model, h *History, steps int) error {
	f := Follower{Model: m, History: h}
	var done trail
	for range steps {
		s := h.Next()
		done.add(s)
		p.advance(s.Wait)
		if s.Reset {
			r := store.Request{Home: s.Request.Home, Key: s.Request.Key, Limits: s.Request.Limits}
			if err := p.store.Reset(p.ctx, r); err != nil {
				return fmt.Errorf("Reset returned an error: %w", err)
			}
			d := p.request(r) // the model needs the time of the Reset
			m.Reset(d.Now, s.Request)
			p.advance(time.Microsecond) // observations from now on are later than the Reset
			h.Saw(s, d)
			continue
		}
		if err := f.Step(p.ctx, p.store, s); err != nil {
			return fmt.Errorf("%w\nafter the steps\n%s", err, &done)
		}
	}
	return nil
}

// A Follower performs the steps of a history on a store and a model, and compares their
// answers. It keeps the names of what is held, which differ.
type Follower struct {
	Model   *Model
	History *History

	names map[int][2][store.MaxLimits]int64 // by the number of the hold: the store's and the model's
}

// Step performs a step that is no Reset.
func (f *Follower) Step(ctx context.Context, s store.Store, step Step) error {
	if f.names == nil {
		f.names = make(map[int][2][store.MaxLimits]int64)
	}
	if step.Settle != nil {
		return f.settle(ctx, s, step)
	}
	mine, theirs := step.Request, step.Request
	mine.Timeout, theirs.Timeout = answerTime, answerTime
	if hold := step.Request.Hold; hold != nil {
		mine.Hold, theirs.Hold = &store.Hold{Spend: hold.Spend, Lease: hold.Lease}, &store.Hold{Spend: hold.Spend, Lease: hold.Lease}
	}
	mine.Release, theirs.Release = nil, nil
	for i, t := range step.Request.Release {
		m, o := f.named(t, step.Releases[i])
		mine.Release, theirs.Release = append(mine.Release, m), append(theirs.Release, o)
	}
	got, err := s.Take(ctx, mine)
	if err != nil {
		return fmt.Errorf("Take returned an error: %w", err)
	}
	want := f.Model.Take(got.Now, theirs)
	if err := Compare(step.Request.Limits, got, want); err != nil {
		return err
	}
	for i, hold := range step.Releases {
		if err := f.settled(hold, &mine.Release[i], &theirs.Release[i]); err != nil {
			return fmt.Errorf("with the request it %w", err)
		}
	}
	if hold := step.Request.Hold; hold != nil {
		if hold.Leased = mine.Hold.Leased; hold.Leased != theirs.Hold.Leased {
			return fmt.Errorf("leased %d; want %d", hold.Leased, theirs.Hold.Leased)
		}
		for i := range mine.Hold.Names {
			if named := mine.Hold.Names[i] != 0; named != (theirs.Hold.Names[i] != 0) {
				return fmt.Errorf("named its holds %d; want a name in place %d: %v", mine.Hold.Names, i, !named)
			}
		}
	}
	if step.Holds(got) {
		f.names[step.Hold] = [2][store.MaxLimits]int64{mine.Hold.Names, theirs.Hold.Names}
	}
	f.History.Saw(step, got)
	return nil
}

func (f *Follower) settle(ctx context.Context, s store.Store, step Step) error {
	holder, ok := s.(store.Holder)
	if !ok {
		return errors.New("the store is no Holder")
	}
	mine, theirs := f.named(*step.Settle, step.Hold)
	all := []store.Settlement{mine}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	holder.Settle(ctx, all)
	f.Model.Settle(all[0].Now, &theirs)
	if err := f.settled(step.Hold, &all[0], &theirs); err != nil {
		return err
	}
	f.History.Settled(step, all[0])
	return nil
}

// named returns a settlement with the store's names of a hold, and with the model's.
func (f *Follower) named(t store.Settlement, hold int) (mine, theirs store.Settlement) {
	mine, theirs = t, t
	names := f.names[hold]
	mine.Names, theirs.Names = names[0], names[1]
	return mine, theirs
}

// settled compares the results of a settlement, and keeps the names.
func (f *Follower) settled(hold int, mine, theirs *store.Settlement) error {
	if mine.Err != nil {
		return fmt.Errorf("settled with an error: %w", mine.Err)
	}
	if mine.Debts != theirs.Debts || mine.Lost != theirs.Lost || mine.Now != theirs.Now {
		return fmt.Errorf("settled with debts=%v lost=%d at %d; want debts=%v lost=%d at %d",
			mine.Debts, mine.Lost, mine.Now, theirs.Debts, theirs.Lost, theirs.Now)
	}
	f.names[hold] = [2][store.MaxLimits]int64{mine.Names, theirs.Names}
	return nil
}

// Compare returns an error unless got and want have the same Allowed, Now, Granted, Debts and
// Held. It does not compare Overflow.
func Compare(policy []store.Limit, got, want store.Decision) error {
	if got.Allowed == want.Allowed && got.Debts == want.Debts && got.Now == want.Now && got.Held == want.Held && got.Granted == want.Granted {
		return nil
	}
	return fmt.Errorf("answered allowed=%v granted=%d debts=%v held=%v at %d; want allowed=%v granted=%d debts=%v held=%v at %d",
		got.Allowed, got.Granted, debts(policy, got), got.Held, got.Now, want.Allowed, want.Granted, debts(policy, want), want.Held, want.Now)
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
