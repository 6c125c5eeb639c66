package mirror

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/store"
)

// release settles what the settlements of a request hold in this node's share. What is left of
// them for the shared store becomes r.Release, a copy: the shared store may still write into it
// when the request is decided without it.
func (s *Store) release(r *store.Request, a *attempt) {
	var sent []store.Settlement
	for i := range r.Release {
		t := &r.Release[i]
		switch t.Err = s.usable(t.Limits); {
		case t.Err != nil:
		case !s.Holds():
			t.Err = errNoHolder
		case t.Home != r.Home || t.Key != r.Key:
			t.Err = errOtherKey
		default:
			if rest, ok := s.memory.SettleHere(t, true); ok {
				rest.Now = 0
				sent, a.ways = append(sent, rest), append(a.ways, way{of: t, sent: rest, part: a.part})
			}
		}
	}
	r.Release = sent
}

// settleFirst sends the settlements of a request by themselves. The time that it takes counts
// against the request's timeout.
func (s *Store) settleFirst(ctx context.Context, r *store.Request, a *attempt) error {
	for i := range a.ways {
		a.ways[i].epoch = a.epoch
	}
	sent, ways := r.Release, a.ways
	r.Release, a.ways = nil, nil
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	s.send(ctx, sent, ways)
	if r.Timeout -= time.Duration(s.clock.Now() - a.Asked); r.Timeout <= 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// released takes in what became of the settlements of a request that the shared store was asked
// for, and answered with err.
func (s *Store) released(r *store.Request, a *attempt, err error, now int64) {
	sent, ways := r.Release, a.ways
	r.Release, a.ways = nil, nil
	if err == nil {
		err = errIgnored
	}
	for i := range sent {
		t, w := &sent[i], &ways[i]
		switch {
		case t.Err != nil:
			s.unsettled(w, store.NewError(t.Err, t.Key))
		case t.Now == 0:
			s.unsettled(w, store.NewError(err, t.Key))
		default:
			s.answered(w, t, a.Asked, now)
		}
	}
}

// unreleased ends the settlements of a request that the shared store was not asked for.
func (s *Store) unreleased(r *store.Request, a *attempt, failed *store.Error) {
	ways := a.ways
	r.Release, a.ways = nil, nil
	for i := range ways {
		s.unsettled(&ways[i], failed)
	}
}
