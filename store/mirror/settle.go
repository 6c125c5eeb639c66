package mirror

import (
	"context"
	"errors"
	"slices"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/breaker"
	"github.com/keyrate/keyrate/store/mirror/internal/memory"
)

// Holds implements [store.Holder]: the mirror holds tokens if the shared store can.
func (s *Store) Holds() bool { return s.memory != nil && store.CanHold(s.shared) }

// Settle implements [store.Holder]. It ends with its context or, if that has no deadline, with
// the longest timeout of any request.
//
// What is held in this node's share is settled there. A settlement that the shared store
// certainly did not execute is kept, if it is no renewal: its Err is nil, and it is sent when
// the shared store is back. At most 10,000 are kept, and the oldest are dropped first; what
// they spent is handed over as knowledge all the same. An Err that is not nil reports, of a
// renewal, that it may be repeated, and otherwise that the answer was lost: it counts as done.
func (s *Store) Settle(ctx context.Context, all []store.Settlement) {
	if s.memory == nil {
		for i := range all {
			all[i].Err = errZero
		}
		return
	}
	timeout := max(s.breaker.Timeout(), store.DefaultTimeout)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var sent []store.Settlement
	var ways []way
	for i := range all {
		t := &all[i]
		if t.Err = s.usable(t.Limits); t.Err != nil {
			continue
		}
		if !s.Holds() {
			t.Err = errNoHolder
			continue
		}
		w := way{of: t, part: s.breaker.Part(t.Home, t.Key)}
		var up bool
		w.epoch, up = w.part.Allow(0)
		rest, ok := s.memory.SettleHere(t, up)
		switch w.sent = rest; {
		case !ok:
		case !up:
			s.unsettled(&w, errDown)
		default:
			sent, ways = append(sent, rest), append(ways, w)
		}
	}
	if len(sent) == 0 {
		return
	}
	s.send(ctx, sent, ways)
	if s.kept.count.Load() > 0 && len(s.kept.sending) == 0 {
		// After one that failed, this one did not. It costs the caller a second trip.
		_ = s.flush(ctx, timeout, func(one *kept) bool {
			return slices.ContainsFunc(ways, func(w way) bool { return w.part == one.part && w.answered })
		})
	}
}

// A way is a settlement on its way to the shared store.
type way struct {
	of    *store.Settlement // the caller's
	sent  store.Settlement  // what is left of it for the shared store
	part  *breaker.Part
	epoch uint64

	answered bool
}

// send sends settlements and sets the results of the caller's.
func (s *Store) send(ctx context.Context, sent []store.Settlement, ways []way) {
	asked := s.settle(ctx, sent)
	var down []*breaker.Part
	for i := range sent {
		t, w := &sent[i], &ways[i]
		if t.Err == nil {
			now := s.clock.Now()
			w.part.Succeeded(t.Now, asked, now)
			s.answered(w, t, asked, now)
			continue
		}
		failed := store.NewError(t.Err, t.Key)
		if !errors.Is(ctx.Err(), context.Canceled) && !slices.Contains(down, w.part) {
			down = append(down, w.part)
			w.part.Failed(w.epoch, failed.Class, asked)
		}
		s.unsettled(w, failed)
	}
}

// answered takes in the answer t to a settlement, and sets the results of the caller's.
func (s *Store) answered(w *way, t *store.Settlement, asked, now int64) {
	w.answered = true
	s.memory.Settled(t, &w.sent, false, asked, now, &w.part.Clock)
	s.memory.Moved(w.of, t)
	w.of.Now, w.of.Debts, w.of.Lost = t.Now, t.Debts, t.Lost
}

// unsettled ends a settlement that the shared store did not answer.
func (s *Store) unsettled(w *way, failed *store.Error) {
	s.memory.Unsettled(&w.sent)
	w.of.Now, w.of.Debts = w.sent.Now, w.sent.Debts
	switch {
	case w.sent.Renew && slices.ContainsFunc(w.of.Names[:], memory.Local):
		return // it was renewed in the share, and is held anew with the next renewal
	case w.sent.Renew, !failed.NotCharged:
		w.of.Err = failed
		return
	}
	s.keep(&w.sent, w.part, 0)
}

// keep keeps a settlement until it is executed. For token, see kept.
func (s *Store) keep(t *store.Settlement, part *breaker.Part, token int64) {
	s.kept.add(kept{settlement: *t, owner: ownerOf(t.Home, t.Key), part: part, at: s.clock.Now(), token: token})
}

// settle asks the shared store, and returns when. It sets an error if the store panics.
func (s *Store) settle(ctx context.Context, all []store.Settlement) (asked int64) {
	asked = s.clock.Now()
	holder, ok := s.asked.(store.Holder)
	failed := errNoHolder
	switch {
	case !ok:
	case ctx.Err() != nil:
		failed = store.NewError(ctx.Err(), "")
		failed.NotCharged = true
	default:
		p := store.Try(func() { holder.Settle(ctx, all) })
		if p == nil {
			return asked
		}
		failed = &store.Error{Class: store.ClassPanic, Err: p}
	}
	for i := range all {
		all[i].Err = failed
	}
	return asked
}
