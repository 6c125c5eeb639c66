package outage

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	httpload "github.com/keyrate/keyrate/benchmarks/internal/http"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// The load while Redis hangs: each key calls four times as often as it may.
const (
	hungRate = 200 // a second, of all keys
	hungKeys = 10
)

// A hungPlan is how long Redis is well, hangs, and is well again.
type hungPlan struct{ well, hung, after time.Duration }

// A hungCall is one request. Times count from the start.
type hungCall struct {
	due, sent, came time.Duration
	status          int // 0: there was no answer
}

// hangUnder calls a server at a fixed rate, whether it answers or not, while Redis hangs
// for a time. The latency of each call counts from when it was due.
func hangUnder(ctx context.Context, address string, firstKey int, p hungPlan, server *redis.Server) (report.Figures, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: hungRate}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	calls := make([]hungCall, int((p.well+p.hung+p.after).Seconds()*hungRate))
	start := time.Now()
	var faults sync.WaitGroup
	var failed error
	faults.Go(func() {
		if failed = sleep(ctx, p.well); failed != nil {
			return
		}
		if failed = server.Hang(); failed != nil {
			return
		}
		failed = errors.Join(sleep(ctx, p.hung), server.Resume()) // whatever happens
	})
	var all sync.WaitGroup
	for i := range calls {
		c := &calls[i]
		c.due = time.Duration(i) * time.Second / hungRate
		if err := sleep(ctx, time.Until(start.Add(c.due))); err != nil {
			break
		}
		all.Go(func() {
			c.sent = time.Since(start)
			c.status = fetch(ctx, client, "http://"+address+"/", load.NewKey(firstKey+i%hungKeys))
			c.came = time.Since(start)
		})
	}
	all.Wait()
	faults.Wait()
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return nil, err
	}
	return hungFigures(calls, p), nil
}

// hungFigures are the latencies of the calls that were due while Redis hung, the
// decisions that came in that time, and what was wrong in all of it.
func hungFigures(calls []hungCall, p hungPlan) report.Figures {
	during, all := newAnswers(), newAnswers()
	decided := 0
	var late time.Duration
	for _, c := range calls {
		all.add(c.status, c.came-c.due)
		late = max(late, c.sent-c.due)
		if c.due >= p.well && c.due < p.well+p.hung {
			during.add(c.status, c.came-c.due)
		}
		if c.came >= p.well && c.came < p.well+p.hung && (c.status == http.StatusOK || c.status == http.StatusTooManyRequests) {
			decided++
		}
	}
	found := during.figures(p.hung)
	found["per_second"] = float64(decided) / p.hung.Seconds()
	found["late_us"] = us64(late)
	whole := all.figures(calls[len(calls)-1].due)
	for _, name := range []string{"admitted", "calls", "failed"} {
		found[name] = whole[name]
	}
	for key := range hungKeys {
		admitted, last := 0, time.Duration(0)
		for i := key; i < len(calls); i += hungKeys {
			last = max(last, calls[i].came)
			if calls[i].status == http.StatusOK {
				admitted++
			}
		}
		above, _ := wrong(outageLimit, admitted, last-calls[key].sent)
		_, below := wrong(outageLimit, admitted, calls[len(calls)-hungKeys+key].due-calls[key].due)
		found["above"] += above
		found["below"] += below
	}
	return found
}

// us64 is a time in microseconds.
func us64(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// fetch returns the status of an answer, 0 if there is none.
func fetch(ctx context.Context, client *http.Client, url, key string) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	r.Header[load.KeyHeader] = []string{key}
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

// sleep waits, or returns why not.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// hammerOver calls a server over as many connections as there are callers, all with one
// key, each again as soon as it has its answer.
func hammerOver(ctx context.Context, address string, o outageOrder) (report.Figures, error) {
	var callers []*httpload.Caller
	defer func() {
		for _, c := range callers {
			c.Close()
		}
	}()
	for range o.Callers {
		c, err := httpload.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		callers = append(callers, c)
	}
	found := make([]answers, o.Callers)
	deadline := time.Now().Add(o.Span)
	took, err := redis.Each(o.Callers, func(i int) error {
		found[i] = newAnswers()
		for now := time.Now(); now.Before(deadline); now = time.Now() {
			if err := callers[i].Connection.SetDeadline(now.Add(30 * time.Second)); err != nil {
				return err
			}
			status, err := callers[i].Ask(o.Key)
			found[i].add(status, time.Since(now))
			if err == nil {
				continue
			}
			callers[i].Close() // the server has, or the answer is not to be read
			next, err := httpload.Dial(ctx, address)
			if err != nil {
				return err
			}
			callers[i] = next
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return joined(found).figures(took), nil
}
