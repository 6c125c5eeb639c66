package redis

import (
	"context"
	_ "embed"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A localCounter is the usual way to decide a shared limit in memory: a token bucket of the
// node's own, and a loop that reports what it has admitted to Redis and learns what the other
// nodes have. Between two reports nodes spend the same tokens. It is a control: what it saves, and
// what it admits over the limit.
type localCounter struct {
	client *redis.Client
	limit  library.Limit
	start  time.Time
	stop   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	buckets map[string]*localBucket
	called  []*localBucket // since the last report
}

// A localBucket is the node's view of one bucket.
type localBucket struct {
	key    string
	debt   float64       // in tokens, of all nodes
	at     time.Duration // when that was so
	spent  int           // tokens that are not reported
	listed bool          // in called
}

//go:embed local.lua
var localText string

var localScript = redis.NewScript(localText)

// reportSize is how many buckets one script call reports.
const reportSize = 256

// openLocal opens a counter that reports at an interval.
func openLocal(interval time.Duration) func(Setting) (Limiter, error) {
	return func(s Setting) (Limiter, error) {
		l := &localCounter{
			client: redis.NewClient(s.options()), limit: s.Limit, start: time.Now(),
			stop: make(chan struct{}), ended: make(chan struct{}), buckets: map[string]*localBucket{},
		}
		go l.loop(interval)
		return l, nil
	}
}

// Allow decides in memory.
func (l *localCounter) Allow(_ context.Context, key string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.start)
	b := l.buckets[key]
	if b == nil {
		b = &localBucket{key: "local:" + key}
		l.buckets[key] = b
	}
	if !b.listed {
		b.listed = true
		l.called = append(l.called, b)
	}
	refilled := float64(now-b.at) / float64(l.perToken())
	b.debt, b.at = max(b.debt-refilled, 0), now
	if b.debt+1 > float64(l.limit.Tokens) {
		return false, nil
	}
	b.debt++
	b.spent++
	return true, nil
}

func (l *localCounter) perToken() time.Duration { return l.limit.Per / time.Duration(l.limit.Tokens) }

// loop reports at an interval until the counter is closed.
func (l *localCounter) loop(interval time.Duration) {
	defer close(l.ended)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = l.report() // what is not reported goes with the next
		case <-l.stop:
			return
		}
	}
}

// report charges what was spent, and takes over what all nodes owe.
func (l *localCounter) report() error {
	l.mu.Lock()
	called := l.called
	l.called = nil
	for _, b := range called {
		b.listed = false
	}
	l.mu.Unlock()
	for len(called) > 0 {
		some := called[:min(reportSize, len(called))]
		called = called[len(some):]
		if err := l.charge(some); err != nil {
			return err
		}
	}
	return nil
}

func (l *localCounter) charge(some []*localBucket) error {
	keys, args := make([]string, len(some)), make([]any, len(some)+1)
	args[0] = l.perToken().Microseconds()
	l.mu.Lock()
	for i, b := range some {
		keys[i], args[i+1] = b.key, b.spent
		b.spent = 0
	}
	l.mu.Unlock()
	debts, err := localScript.Run(context.Background(), l.client, keys, args...).StringSlice()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range some {
		if err != nil {
			b.spent += args[i+1].(int) //nolint:errcheck // it was put there
			continue
		}
		micros, _ := strconv.ParseFloat(debts[i], 64) // the script prints it
		b.debt = micros/float64(l.perToken().Microseconds()) + float64(b.spent)
		b.at = time.Since(l.start)
	}
	return err
}

// Close reports the rest, and closes the client.
func (l *localCounter) Close() error {
	close(l.stop)
	<-l.ended
	if err := l.report(); err != nil {
		return err
	}
	return l.client.Close()
}
