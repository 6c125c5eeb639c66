package chaos_test

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// The scripts of version 8386024, the last one before tokens could be held.
var (
	//go:embed testdata/8386024/take.lua
	formerTakeText string
	//go:embed testdata/8386024/reset.lua
	formerResetText string

	formerTake  = redis.NewScript(formerTakeText)
	formerReset = redis.NewScript(formerResetText)
)

// A formerNode calls the scripts as version 8386024 did.
type formerNode struct{ client redis.UniversalClient }

// formerName returns the name of a bucket: without a secret, as both versions have it.
func formerName(key string, l *store.Limit) string {
	sum := sha256.Sum256([]byte(key))
	return "keyrate:{" + base64.RawURLEncoding.EncodeToString(sum[:]) + "}:" + l.Name
}

// takeAll decides requests in one batch. It returns an error if a value is foreign to it.
func (n formerNode) takeAll(ctx context.Context, requests []store.Request) ([]store.Decision, error) {
	var keys []string
	args := []any{len(requests)}
	for i := range requests {
		r := &requests[i]
		mode := 1
		if r.Cost == 0 {
			mode = 0
		}
		args = append(args, mode, len(r.Limits))
		for j := range r.Limits {
			l := &r.Limits[j]
			cost, fits := l.Cost(r.Cost)
			if !fits {
				return nil, errors.New("the cost does not fit")
			}
			keys = append(keys, formerName(r.Key, l))
			args = append(args, l.Denominator(), l.Capacity().Micros, l.Capacity().Frac, cost.Micros, cost.Frac)
		}
	}
	for i := range requests {
		r := &requests[i]
		if r.Known == nil {
			args = append(args, i+1)
			continue
		}
		args = append(args, -(i + 1))
		for _, k := range r.Known[:len(r.Limits)] {
			args = append(args, k.Debt.Micros, k.Debt.Frac, k.TAT.Micros, k.TAT.Frac, k.TAT.Den, k.Seen)
		}
	}
	answer, err := formerTake.Run(ctx, n.client, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	if answer[1] != 0 {
		return nil, fmt.Errorf("version 8386024 counts %d foreign values", answer[1])
	}
	decisions := make([]store.Decision, len(requests))
	at := 2
	for i := range requests {
		d := &decisions[i]
		d.Now = answer[0]
		for j := range requests[i].Limits {
			debt := gcra.Debt{Micros: answer[at]}
			at++
			if j == 0 {
				if d.Allowed = debt.Micros >= 0; !d.Allowed {
					debt.Micros = -1 - debt.Micros
				}
			}
			if requests[i].Limits[j].Denominator() > 1 {
				debt.Frac = uint32(answer[at])
				at++
			}
			d.Debts[j] = debt
		}
	}
	if at != len(answer) {
		return nil, fmt.Errorf("the answer has %d numbers; want %d", len(answer), at)
	}
	return decisions, nil
}

// Take implements [store.Store].
func (n formerNode) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := n.takeAll(ctx, []store.Request{r})
	if err != nil {
		return store.Decision{}, err
	}
	return d[0], nil
}

// Reset implements [store.Store].
func (n formerNode) Reset(ctx context.Context, r store.Request) error {
	var keys []string
	var lives []any
	for i := range r.Limits {
		keys = append(keys, formerName(r.Key, &r.Limits[i]))
		lives = append(lives, r.Limits[i].Capacity().Duration().Microseconds())
	}
	return formerReset.Run(ctx, n.client, keys, lives...).Err()
}
