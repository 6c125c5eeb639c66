package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// In this part nodes ask for four times what a shared limit allows.
const (
	exceedNodes   = 4
	exceedCallers = 8                     // of a node
	exceedPause   = 8 * time.Millisecond  // between the calls of a caller: a node asks for all of the limit
	exceedKase    = "nodes=4/demand=400%" // of the limit
	exceedSpan    = 2 * time.Second
	exceedFirst   = 1_000_000_000 // its keys are numbered from here
)

// exceedLimit is 1,000 tokens at once, and 1,000 a second.
var exceedLimit = library.Limit{Tokens: 1000, Per: time.Second}

// exceed lets nodes call one key, each with a limiter of its own, and compares what they admit with
// the limit. A library that must be exact and is not ends the run.
func exceed(ctx context.Context, l redisLibrary, s Setting, key int, span time.Duration) (found report.Figures, err error) {
	s.Limit = exceedLimit
	var nodes []Limiter
	defer func() {
		for _, n := range nodes {
			err = errors.Join(err, n.Close())
		}
	}()
	for range exceedNodes {
		n, err := l.open(s)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if err := first(ctx, n, load.NewKey(key+1)); err != nil { // connects
			return nil, err
		}
	}
	admitted := make([][]time.Duration, exceedNodes*exceedCallers)
	calls := make([]int, len(admitted))
	name := load.NewKey(key)
	start := time.Now()
	took, err := Each(len(admitted), func(caller int) error {
		node, due := nodes[caller%exceedNodes], exceedPause*time.Duration(caller)/time.Duration(len(admitted))
		for ; due < span; due += exceedPause {
			time.Sleep(due - time.Since(start))
			allowed, err := node.Allow(ctx, name)
			calls[caller]++
			if err == nil && allowed { // a call without an answer may have been charged: it is not admitted
				admitted[caller] = append(admitted[caller], time.Since(start))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all, called := slices.Concat(admitted...), 0
	for _, n := range calls {
		called += n
	}
	over, percent := overLimit(all, exceedLimit)
	if l.exact && over > 0 {
		return nil, fmt.Errorf("%.0f tokens over the limit: wrong answers", over)
	}
	bound := float64(exceedLimit.Tokens) * (1 + took.Seconds()/exceedLimit.Per.Seconds())
	return report.Figures{
		"over_tokens":  over,
		"over_percent": percent,
		"of_bound":     100 * float64(len(all)) / bound,
		"demand":       100 * float64(called) / took.Seconds() * exceedLimit.Per.Seconds() / float64(exceedLimit.Tokens),
	}, nil
}

// overLimit returns by how many tokens, and by how many percent, calls that were admitted exceed
// burst + rate x time, at the worst instant. Instants are those of the answers, since the first
// call was sent: a limiter that is exact decided at that time or before. Less than a token is not
// counted, since Redis has another clock.
func overLimit(admitted []time.Duration, limit library.Limit) (tokens, percent float64) {
	slices.Sort(admitted)
	for i, at := range admitted {
		bound := float64(limit.Tokens) * (1 + at.Seconds()/limit.Per.Seconds())
		if over := float64(i+1) - bound; over >= 1 {
			tokens, percent = max(tokens, over), max(percent, 100*over/bound)
		}
	}
	return tokens, percent
}
