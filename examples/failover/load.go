package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// The load: each key calls four times as often as it may.
const (
	callRate = 200 // a second, of all keys
	keyCount = 10
)

// A call is one request. Times count from the start of the load.
type call struct {
	key    int
	due    time.Duration // when it was to be sent
	sent   time.Duration
	came   time.Duration // when the answer was there
	status int           // 0: there was no answer
	source store.Source
	took   time.Duration // the decision alone
}

// latency counts from when the call was due: had it been late, its caller would have
// waited.
func (c *call) latency() time.Duration { return c.came - c.due }

// decided reports whether the call was served or denied, as it should be.
func (c *call) decided() bool {
	return c.status == http.StatusOK || c.status == http.StatusTooManyRequests
}

// A load calls an API at a fixed rate, whether that keeps up or not.
type load struct {
	url    string
	client *http.Client
	start  time.Time
	step   time.Duration

	mu    sync.Mutex
	calls []call
	steps []sync.WaitGroup // the calls that were due in each step of time
}

// newLoad returns a load that lasts so long, which is a multiple of the step.
func newLoad(lasts, step time.Duration) *load {
	n := int(lasts * callRate / time.Second)
	l := &load{
		step: step, calls: make([]call, n), steps: make([]sync.WaitGroup, lasts/step),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callRate}, Timeout: 10 * time.Second},
	}
	for i := range l.calls {
		l.calls[i] = call{key: i % keyCount, due: time.Duration(i) * time.Second / callRate}
		l.steps[l.calls[i].due/step].Add(1)
	}
	return l
}

// run makes the calls, and returns when all of them are answered or ctx has ended.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range l.calls {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(l.start.Add(l.calls[i].due))):
		}
		all.Go(func() {
			defer l.steps[l.calls[i].due/l.step].Done()
			if ctx.Err() == nil {
				l.call(ctx, i)
			}
		})
	}
	all.Wait()
	l.client.CloseIdleConnections()
}

// callHeader numbers the calls, so that the API can say who decided which.
const callHeader = "X-Call"

func (l *load) call(ctx context.Context, i int) {
	sent, status := time.Since(l.start), 0
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err == nil {
		r.Header.Set("X-API-Key", "customer "+strconv.Itoa(i%keyCount))
		r.Header.Set(callHeader, strconv.Itoa(i))
		status = l.send(r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[i].sent, l.calls[i].came, l.calls[i].status = sent, time.Since(l.start), status
}

// send returns the status of the answer, 0 if there is none.
func (l *load) send(r *http.Request) int {
	answer, err := l.client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

// numbered puts the number of each call into its context.
func numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i, err := strconv.Atoi(r.Header.Get(callHeader)); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), callKey{}, i))
		}
		next.ServeHTTP(w, r)
	})
}

type callKey struct{}

// observe receives each decision of the limiter and records its source and how long it
// took.
func (l *load) observe(ctx context.Context, e ratelimit.Event) {
	i, ok := ctx.Value(callKey{}).(int)
	if !ok || i < 0 || i >= len(l.calls) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[i].source, l.calls[i].took = e.Result.Source(), e.Took
}

// answered returns the calls that were due before an instant, once all of them have
// ended.
func (l *load) answered(before time.Duration) []call {
	for i := range l.steps[:before/l.step] {
		l.steps[i].Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.calls) && l.calls[n].due < before {
		n++
	}
	return append([]call(nil), l.calls[:n]...)
}
