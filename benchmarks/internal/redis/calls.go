package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// redisCalls is what callers got done.
type redisCalls struct {
	histogram  *hdrhistogram.Histogram // in nanoseconds
	took       time.Duration
	cpu        time.Duration // processor time of the callers' process
	failures   int64         // no answer
	last       string        // of their errors
	goroutines int           // at most, beyond the callers' and what was there before
}

// Tick is what the latencies of suite outage are counted in.
const Tick = 100 * time.Nanosecond

func (c redisCalls) figures() report.Figures {
	quantile := func(q float64) float64 {
		return float64(c.histogram.ValueAtQuantile(q)) / 1e3
	}
	decisions := float64(c.histogram.TotalCount())
	return report.Figures{
		"per_second":   decisions / c.took.Seconds(),
		"cpu_ns":       float64(c.cpu.Nanoseconds()) / decisions,
		"p50_us":       quantile(50),
		"p99_us":       quantile(99),
		"goroutines":   float64(c.goroutines),
		"failures_ppm": 1e6 * float64(c.failures) / (decisions + float64(c.failures)),
	}
}

// yieldEvery is after how many calls a caller lets others run, as the handlers of a server do
// between requests. Callers that never wait would have the core for 10 ms each, and an answer of
// Redis would be read when all of them have had their turn.
const yieldEvery = 32

// hurry lets every caller call again as soon as it has its answer, at least once.
// An answer that is not the one asked for ends the run. Calls without an answer are
// no decisions, and are reported: keyrate gives up after 50 ms, which a busy machine can
// exceed, the others after seconds.
func (w *redisWorker) hurry(ctx context.Context, l Limiter, keys []string, o redisOrder, span time.Duration) (redisCalls, error) {
	var counted latencies
	var failures atomic.Int64
	var last atomic.Value
	stop := watchGoroutines(o.Callers)
	cpu := processorTime()
	start := time.Now()
	took, err := Each(o.Callers, func(caller int) error {
		random := rand.New(rand.NewPCG(5, uint64(caller)))
		// One reading of the monotonic clock for each call.
		for now, called := time.Since(start), 0; called == 0 || now < span; called++ {
			if called%yieldEvery == yieldEvery-1 {
				runtime.Gosched()
				now = time.Since(start)
			}
			key := keys[random.IntN(len(keys))]
			allowed, err := l.Allow(ctx, key)
			then := time.Since(start)
			switch {
			case err != nil:
				failures.Add(1)
				last.Store(err.Error())
			case allowed == o.Denied:
				return fmt.Errorf("a call was allowed: %v; wrong answers", allowed)
			default:
				counted.add(then - now)
			}
			now = then
		}
		return nil
	})
	cpu = processorTime() - cpu
	most := stop()
	if err != nil {
		return redisCalls{}, err
	}
	c := redisCalls{took: took, cpu: cpu, failures: failures.Load(), goroutines: most}
	if c.histogram, err = counted.histogram(); err != nil {
		return redisCalls{}, err
	}
	c.last, _ = last.Load().(string)
	return c, nil
}

// processorTime returns what this process has used, its own and the system's for it.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// watchGoroutines counts the goroutines now and then, without those that exist before it,
// the callers' and its own. stop returns the highest count.
func watchGoroutines(callers int) (stop func() int) {
	base := runtime.NumGoroutine() + callers + 1
	done, found := make(chan struct{}), make(chan int)
	go func() {
		most := 0
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				found <- most
				return
			case <-ticker.C:
				most = max(most, runtime.NumGoroutine()-base)
			}
		}
	}()
	return func() int { close(done); return <-found }
}
