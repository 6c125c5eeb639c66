package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// buckets are those of one key under a policy. They decide in the steps that package gcra
// documents for a store.
type buckets struct {
	blocked bool // every request is denied

	rates []gcra.Rate
	tats  []gcra.TAT
	after []gcra.Debt // of the request that is being decided
}

// Check returns an error if p has a limit that no log can decide, as [Log.Replay] does, but before a
// log is read.
func Check(p *ratelimit.Policy) error {
	if _, err := newBuckets(context.Background(), p); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

func newBuckets(ctx context.Context, p *ratelimit.Policy) (*buckets, error) {
	if p == nil {
		return nil, errors.New("there is no policy: use ratelimit.Unlimited to exempt a key")
	}
	if _, err := p.PolicyFor(ctx, ""); err != nil { // not made by NewPolicy
		return nil, err
	}
	if _, ok := p.Block(); ok {
		return &buckets{blocked: true}, nil
	}
	if p != ratelimit.Unlimited && !plain(p) && !strings.HasPrefix(p.String(), "blocked;") { // a block that has ended
		return nil, fmt.Errorf("policy %q is more than limits: give limits alone, or ratelimit.Unlimited", p)
	}
	b := new(buckets)
	compiled := p.Compiled()
	for i, limit := range p.Limits() {
		switch {
		case limit.Concurrent:
			return nil, fmt.Errorf("limit %q is on calls at a time: a log does not have when calls end, so leave it out", limit.Name)
		case limit.Shared:
			return nil, fmt.Errorf("limit %q is shared: each key is decided on its own, so leave it out", limit.Name)
		case limit != known(limit):
			return nil, fmt.Errorf("limit %q does more than a bucket, which no log can decide: leave that out", limit)
		}
		b.rates = append(b.rates, compiled[i].Rate)
	}
	b.tats = make([]gcra.TAT, len(b.rates))
	b.after = make([]gcra.Debt, len(b.rates))
	return b, nil
}

// plain reports whether a policy is one to four limits and nothing else.
func plain(p *ratelimit.Policy) bool {
	same, err := ratelimit.NewPolicy(p.Limits()...)
	return err == nil && same.String() == p.String()
}

// known returns what buckets keep of a limit, and what does not matter to them.
func known(l ratelimit.Limit) ratelimit.Limit {
	return ratelimit.Limit{Name: l.Name, Rate: l.Rate, Period: l.Period, Burst: l.Burst, Shadow: l.Shadow, EnforceFrom: l.EnforceFrom, EnforceFor: l.EnforceFor}
}

// fill makes the buckets full, for another key.
func (b *buckets) fill() { clear(b.tats) }

// admit decides a request at an instant that is not before the last one, and charges it if all
// limits admit it.
func (b *buckets) admit(now int64, cost int) bool {
	if b.blocked {
		return false
	}
	for i := range b.rates {
		rate := &b.rates[i]
		debt, _ := rate.DebtAt(b.tats[i], now)
		own, ok := rate.Cost(cost)
		b.after[i] = rate.Add(debt, own)
		if !ok || !rate.Fits(b.after[i]) {
			return false
		}
	}
	for i := range b.rates {
		b.tats[i] = b.rates[i].TATAt(b.after[i], now)
	}
	return true
}
