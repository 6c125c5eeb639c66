package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
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
	demoTime = 100 * time.Second
	// slotTime is how long a store keeps at most what a node holds that is gone.
	slotTime = 20 * time.Second
)

// demo runs the load on gateways that reserve, then on gateways that count after the fact,
// and prints what became of it. The error says what did not hold.
func demo(ctx context.Context, p plan, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	d, err := process.StartDatabase(ctx, p.embed, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	fmt.Fprintf(out, "Each organisation has %d keys and these limits:\n\n", organisations[0].keys)
	for _, o := range organisations {
		fmt.Fprintf(out, "  %-8s %s\n", o.name, o.limits)
	}
	fmt.Fprintf(out, "\n%d streams at a time go through two gateways that share this Redis. Half way, one of them is killed.\n", streams)
	reserved, err := try(ctx, p, d.URL(), false)
	if err != nil {
		return err
	}
	// Meanwhile, what the killed gateway holds comes to its end.
	var looked error
	var looking sync.WaitGroup
	looking.Go(func() { looked = reserved.settle(ctx, d.URL()) })
	counted, err := try(ctx, p, d.URL(), true)
	looking.Wait()
	if err := errors.Join(err, looked); err != nil {
		return err
	}
	return judge(reserved, counted, out)
}

// An attempt is what came of one load.
type attempt struct {
	accounts []account
	calls    []call
	bill     []spend
	killed   time.Time // when the second gateway was
	ended    time.Time // when all calls had
	late     bool      // the first gateway got no answer to a settlement in time
	still    time.Time // when something was seen to be held, after all calls
	free     time.Time // when nothing was held any more
}

// freeBy returns when what was held of calls without a settlement must have become debt.
func (a *attempt) freeBy() time.Time {
	if a.late {
		return a.ended.Add(slotTime)
	}
	return a.killed.Add(slotTime)
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
			defer n.End()
			l.nodes = append(l.nodes, n)
		}
		start := time.Now()
		if err := l.drive(ctx, p, m, &a); err != nil {
			return err
		}
		a.calls, a.bill, a.ended = l.calls, m.bill(), time.Now()
		a.late = strings.Contains(l.nodes[0].Output(), "charges its estimate")
		if a.accounts, err = accounts(a.calls, a.bill, start, a.ended); err != nil || !a.late {
			return err
		}
		for _, c := range a.calls { // any of them may have paid its estimate
			if b := &a.accounts[c.organisation]; c.complete && c.used > 0 {
				b.open = append(b.open, c.estimate-c.used)
			}
		}
		return nil
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

// settle waits until nothing of a's calls is held any more, and notes what Redis has charged.
func (a *attempt) settle(ctx context.Context, redisURL string) error {
	keys, err := policies()
	if err != nil {
		return err
	}
	limiter, client, err := newLimiter(redisURL, false, keys)
	if err != nil {
		return err
	}
	defer client.Close()
	for i, o := range organisations {
		for key := range o.keys {
			if err := a.wait(ctx, limiter, i, o.key(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// wait waits until a key holds nothing any more, and notes what its organisation has been charged.
func (a *attempt) wait(ctx context.Context, limiter *ratelimit.Limiter, organisation int, key string) error {
	for {
		asked := time.Now()
		r, err := limiter.Peek(ctx, key) // which may fail while the other load takes all of the machine
		answered, held := time.Now(), 0
		for at := range r.Len() {
			s := r.State(at)
			held += s.Held
			if s.Limit.Name == tokens {
				b := &a.accounts[organisation]
				b.least, _ = charged(a.calls, a.bill, organisation, s.Limit, a.killed, asked.Add(s.ResetAfter))
				_, b.most = charged(a.calls, a.bill, organisation, s.Limit, a.killed, answered.Add(s.ResetAfter))
			}
		}
		switch {
		case err == nil && held == 0:
			a.free = answered
			return nil
		case asked.After(a.freeBy().Add(slotTime)):
			return errors.Join(err, fmt.Errorf("%d tokens and places of %s were held in the end", held, key))
		case err == nil:
			a.still = asked
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
