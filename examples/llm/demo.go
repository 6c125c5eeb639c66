package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/ratelimit"
)

// A plan is how long the load lasts: until each organisation has been denied for its tokens,
// within these bounds.
type plan struct {
	atLeast, atMost time.Duration
	embed           bool // even if there is a redis-server
}

// standard is what -demo does.
var standard = plan{atLeast: 8 * time.Second, atMost: 20 * time.Second}

const (
	demoTime = time.Minute
	// slotTime is how long a store keeps what a node holds that is gone: 20 s, and some more
	// for streams that other nodes serve.
	slotTime = 40 * time.Second
)

// demo runs the load on gateways that reserve, then on gateways that count after the fact,
// and prints what became of it. The error says what did not hold.
func demo(ctx context.Context, p plan, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	d, err := startRedis(ctx, p.embed, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	fmt.Fprintf(out, "Each organisation has %d keys and these limits:\n\n", organisations[0].keys)
	for _, o := range organisations {
		fmt.Fprintf(out, "  %-8s %s\n", o.name, o.limits)
	}
	fmt.Fprintf(out, "\n%d streams at a time go through two gateways that share this Redis. Half way, one of them is killed.\n", streams)
	reserved, err := try(ctx, p, d.url, false)
	if err != nil {
		return err
	}
	// Meanwhile, what the killed gateway holds comes to its end.
	var free time.Time
	var looked error
	var looking sync.WaitGroup
	looking.Go(func() { free, looked = settled(ctx, d.url, reserved) })
	counted, err := try(ctx, p, d.url, true)
	looking.Wait()
	if err := errors.Join(err, looked); err != nil {
		return err
	}
	return verdict(reserved, counted, free.Sub(reserved.killed), out)
}

// An attempt is what came of one load.
type attempt struct {
	accounts []account
	calls    []call
	bill     []spend
	killed   time.Time
}

// try starts a model and two gateways, calls these, and kills one.
func try(ctx context.Context, p plan, redisURL string, after bool) (a attempt, err error) {
	m := &model{seed: 1}
	err = serve.Demo(ctx, m, func(ctx context.Context, url string, _ *http.Client) error {
		l := &load{}
		for range 2 {
			n, err := startNode(ctx, redisURL, url, after)
			if err != nil {
				return err
			}
			defer n.end()
			l.nodes = append(l.nodes, n)
		}
		start := time.Now()
		if err := l.drive(ctx, p, m, &a); err != nil {
			return err
		}
		a.calls, a.bill = l.calls, m.bill()
		a.accounts, err = accounts(a.calls, a.bill, start, time.Now())
		return err
	})
	return a, err
}

// drive runs the load, kills the second gateway in the middle of it, and notes when.
func (l *load) drive(ctx context.Context, p plan, m *model, a *attempt) error {
	start, stop := time.Now(), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { l.run(ctx, stop) })
	defer running.Wait()
	defer close(stop)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		took := time.Since(start)
		switch {
		case a.killed.IsZero() && took > p.atMost:
			return fmt.Errorf("in %v this machine was not fast enough to use half of the tokens", p.atMost)
		case a.killed.IsZero():
			if l.halfWay(m.bill()) {
				a.killed = time.Now()
				l.nodes[1].kill()
			}
		case took > p.atMost, took > p.atLeast && each(func(i int) bool { return l.short[i].Load() }):
			return nil
		}
	}
}

// halfWay reports whether half of the tokens are used of the organisation with the fewest, and
// the second gateway serves at least two streams of each.
func (l *load) halfWay(bill []spend) bool {
	l.mu.Lock()
	all, err := accounts(l.calls, bill, time.Time{}, time.Time{})
	l.mu.Unlock()
	return err == nil && all[0].used >= all[0].limit.Burst/2 &&
		each(func(i int) bool { return l.nodes[1].inside[i].Load() >= 2 })
}

// settled waits until nothing is held any more, and notes what Redis has charged. It returns
// when that was.
func settled(ctx context.Context, redisURL string, a attempt) (time.Time, error) {
	keys, err := policies()
	if err != nil {
		return time.Time{}, err
	}
	limiter, client, err := newLimiter(redisURL, false, keys)
	if err != nil {
		return time.Time{}, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, slotTime)
	defer cancel()
	for {
		held, err := look(ctx, limiter, a)
		if err != nil {
			return time.Time{}, err
		}
		if held == 0 {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d tokens and places are still held", held)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// look returns how many tokens and places are held, and notes what was charged.
func look(ctx context.Context, limiter *ratelimit.Limiter, a attempt) (held int, err error) {
	for i, o := range organisations {
		for key := range o.keys {
			r, err := limiter.Peek(ctx, o.key(key))
			if err != nil {
				return 0, err
			}
			for at := range r.Len() {
				s := r.State(at)
				held += s.Held
				if s.Limit.Name == tokens {
					// What is owed, and what has come back since the first charge.
					since := time.Since(firstPaid(a.calls, a.bill, i))
					a.accounts[i].charged = perSecond(s.Limit) * (s.ResetAfter + since).Seconds()
				}
			}
		}
	}
	return held, nil
}
