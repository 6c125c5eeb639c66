package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/store"
)

// Holds implements [store.Holder].
func (s *Store) Holds() bool { return true }

// Settle implements [store.Holder]. Settlements for one server share round trips, with each
// other and with decisions. It ends with its context, or after the time of a decision if that
// has no deadline. A settlement is never sent twice.
func (s *Store) Settle(ctx context.Context, all []store.Settlement) {
	if len(all) == 1 {
		if c := s.settling(ctx, &all[0]); c != nil {
			conclude(&all[0], s.servers.batcher(ctx, c.tag).take(ctx, c))
		}
		return
	}
	calls := make([]*call, len(all))
	queues := make(map[*batcher][]*call)
	for i := range all {
		if calls[i] = s.settling(ctx, &all[i]); calls[i] != nil {
			b := s.servers.batcher(ctx, calls[i].tag)
			queues[b] = append(queues[b], calls[i])
		}
	}
	for b, queue := range queues {
		b.enqueue(queue)
	}
	for i, c := range calls {
		if c != nil {
			conclude(&all[i], c.wait(ctx))
		}
	}
}

// release adds settlements to the call of a request of the same home and key. It returns those
// that are sent.
func (s *Store) release(ctx context.Context, r *store.Request, c *call) (sent []*store.Settlement) {
	for i := range r.Release {
		t := &r.Release[i]
		if t.Home != r.Home || t.Key != r.Key {
			t.Err = errOtherKey
		} else if one := s.settling(ctx, t); one != nil {
			c.releases, sent = append(c.releases, one), append(sent, t)
		}
	}
	return sent
}

// released sets the results of settlements that were sent with a request.
func released(sent []*store.Settlement, o *outcome) {
	for i, t := range sent {
		if o.err != nil {
			t.Err = o.err
		} else {
			conclude(t, o.released[i])
		}
	}
}

// settling returns the call of a settlement; nil if t.Err says why there is none.
func (s *Store) settling(ctx context.Context, t *store.Settlement) *call {
	if n := len(t.Limits); n == 0 || n > store.MaxLimits {
		t.Err = errLimits
		return nil
	}
	if err := ctx.Err(); err != nil {
		t.Err = failure(fmt.Errorf("%w: %w", errQueued, err))
		return nil
	}
	r := store.Request{Home: t.Home, Key: t.Key, Limits: t.Limits}
	if end, ok := ctx.Deadline(); ok {
		r.Timeout = time.Until(end)
	}
	c := newCall(ctx, &s.calls, r, s.names.owner(t.Home, t.Key))
	c.mode, c.held, c.actual, c.names = modeSettle, max(t.Held, 0), max(t.Actual, 0), t.Names
	if t.Renew {
		c.mode = modeRenew
	}
	return c
}

// conclude sets the results of a settlement.
func conclude(t *store.Settlement, o outcome) {
	t.Now, t.Debts, t.Lost, t.Err = o.Now, o.Debts, o.lost, o.err
	if t.Renew && o.err == nil {
		t.Names = o.names
	}
}
