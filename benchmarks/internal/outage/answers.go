package outage

import (
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// answers counts the answers that callers got, with their latencies.
type answers struct {
	admitted, denied int
	failed           int                     // 5xx, or no answer at all
	latencies        *hdrhistogram.Histogram // in units of tick
}

func newAnswers() answers {
	return answers{latencies: hdrhistogram.New(1, int64(time.Minute/redis.Tick), 3)}
}

// add counts an answer; the status is 0 if there was none.
func (a *answers) add(status int, latency time.Duration) {
	switch status {
	case http.StatusOK:
		a.admitted++
	case http.StatusTooManyRequests:
		a.denied++
	default:
		a.failed++
	}
	_ = a.latencies.RecordValue(min(max(int64(latency/redis.Tick), 1), int64(time.Minute/redis.Tick))) // it is within the bounds
}

// joined returns the answers of all callers.
func joined(callers []answers) *answers {
	all := newAnswers()
	for _, a := range callers {
		all.admitted += a.admitted
		all.denied += a.denied
		all.failed += a.failed
		all.latencies.Merge(a.latencies)
	}
	return &all
}

// figures are those of answers that came within a time.
func (a *answers) figures(took time.Duration) report.Figures {
	quantile := func(q float64) float64 { return float64(a.latencies.ValueAtQuantile(q)) * redis.Tick.Seconds() * 1e6 }
	return report.Figures{
		"per_second": float64(a.admitted+a.denied) / took.Seconds(),
		"p50_us":     quantile(50),
		"p99_us":     quantile(99),
		"max_us":     quantile(100),
		"admitted":   float64(a.admitted),
		"calls":      float64(a.admitted + a.denied + a.failed),
		"failed":     float64(a.failed),
	}
}

// wrong returns how many calls of a key were admitted above its limit, in a time that
// began with a full bucket, and how many less than 95% of what comes back in that time:
// its callers have asked for more. A window has no burst beside that.
func wrong(to library.Limit, admitted int, took time.Duration) (above, below float64) {
	back := int(int64(took) * int64(to.Tokens) / int64(to.Per))
	return max(0, float64(admitted-to.Tokens-back)), max(0, float64(back*95/100-admitted))
}
