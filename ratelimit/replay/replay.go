package replay

import (
	"context"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
)

// Replay decides the requests of the log under each candidate, from full buckets. A candidate is
// what [ratelimit.New] takes: a limit, a policy, or a table with a policy for each key. Its
// shadow limits count as if they were enforced. All requests of a key that is blocked now are denied.
//
// It returns an error if a policy cannot be looked up, or has a limit that the log cannot decide:
// one on calls at a time, one that is shared, or one that locks keys out; see [Check]. The context is that of the look-ups, and ends the
// replay.
func (l *Log) Replay(ctx context.Context, candidates ...ratelimit.Limits) ([]Outcome, error) {
	outcomes := make([]Outcome, len(candidates))
	contestants := make([]contestant, len(candidates))
	for i, c := range candidates {
		if limit, ok := c.(ratelimit.Limit); ok { // compiled once, not for each key
			policy, err := ratelimit.NewPolicy(limit)
			if err != nil {
				return nil, fmt.Errorf("replay: candidate %d: %w", i+1, err)
			}
			c = policy
		}
		contestants[i].limits = c
		outcomes[i] = l.newOutcome()
	}
	for key := range l.keys.len() {
		if key%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for i := range contestants {
			b, err := contestants[i].bucketsOf(ctx, l.key(key))
			if err != nil {
				return nil, fmt.Errorf("replay: candidate %d, key %.19s…: %w", i+1, ratelimit.HashKey(l.key(key)), err)
			}
			l.replayKey(key, b, &outcomes[i])
		}
	}
	for i := range outcomes {
		outcomes[i].finish(l)
	}
	return outcomes, nil
}

// replayKey decides the requests of a key, from full buckets.
func (l *Log) replayKey(key int, b *buckets, o *Outcome) {
	b.fill()
	times, costs := l.requests(key)
	own := offender{key: key, requests: int64(len(times))}
	for i, at := range times {
		cost := 1
		if costs != nil {
			cost = int(costs[i])
		}
		step := o.step(at)
		step.Requests++
		if !b.admit(at, cost) {
			step.Denied++
			own.denied++
			own.last = at
			if own.denied == 1 {
				own.first = at
			}
		}
	}
	o.Requests += own.requests
	o.Keys++
	if own.denied > 0 {
		o.Denied += own.denied
		o.KeysDenied++
		o.worst.add(own)
	}
}

// A contestant is a candidate with the buckets of each policy that it has, which one key after
// another uses.
type contestant struct {
	limits  ratelimit.Limits
	buckets map[*ratelimit.Policy]*buckets
}

func (c *contestant) bucketsOf(ctx context.Context, key string) (*buckets, error) {
	policy, err := c.limits.PolicyFor(ctx, key)
	if err != nil {
		return nil, err
	}
	if b := c.buckets[policy]; b != nil {
		return b, nil
	}
	b, err := newBuckets(ctx, policy)
	if err != nil {
		return nil, err
	}
	if len(c.buckets) == mostPolicies { // they may be made for each key
		clear(c.buckets)
	}
	if c.buckets == nil {
		c.buckets = map[*ratelimit.Policy]*buckets{}
	}
	c.buckets[policy] = b
	return b, nil
}

// mostPolicies is for how many policies a contestant keeps buckets.
const mostPolicies = 1024
