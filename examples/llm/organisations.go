package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
)

// An organisation is a customer. Its keys share its tokens and its requests at a time, and
// each key has its own requests at a time.
type organisation struct {
	name   string
	limits string // as ratelimit.ParsePolicy reads them
	keys   int
}

// organisations stand for your database.
var organisations = []organisation{
	{"acme", "12000/m;name=tokens;shared, 10 at a time;name=requests;shared, 4 at a time;name=own-requests", 4},
	{"globex", "15000/m;name=tokens;shared, 10 at a time;name=requests;shared, 4 at a time;name=own-requests", 4},
	{"initech", "18000/m;name=tokens;shared, 10 at a time;name=requests;shared, 4 at a time;name=own-requests", 4},
}

// key returns one of an organisation's keys.
func (o organisation) key(i int) string { return fmt.Sprintf("%s-key-%d", o.name, i%o.keys) }

// policies returns the policy of each key. Its home comes with the key, not from the request:
// a caller must not be able to choose whose tokens it uses.
func policies() (map[string]*ratelimit.Policy, error) {
	all := make(map[string]*ratelimit.Policy)
	for _, o := range organisations {
		p, err := ratelimit.ParsePolicy(o.limits)
		if err != nil {
			return nil, fmt.Errorf("the limits of %s: %w", o.name, err)
		}
		p = p.In(o.name)
		for i := range o.keys {
			all[o.key(i)] = p
		}
	}
	return all, nil
}

// limitsOf makes the policies usable by a limiter.
func limitsOf(all map[string]*ratelimit.Policy) ratelimit.Limits {
	return ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		p, ok := all[key]
		if !ok {
			return nil, errors.New("the key belongs to no organisation") // which authentication has made sure of
		}
		return p, nil
	})
}
