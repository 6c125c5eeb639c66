package library

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// xrate is golang.org/x/time/rate in a map behind a mutex, as people write it by
// hand.
type xrate struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
	every    rate.Limit
	burst    int
}

func newXRate(s Setting) (Limiter, error) {
	every := rate.Limit(float64(s.Limit.Tokens) / s.Limit.Per.Seconds())
	if s.Forget > 0 {
		return newVisitors(every, s), nil
	}
	x := &xrate{every: every, burst: s.Limit.Tokens}
	if s.Presized {
		x.limiters = make(map[string]*rate.Limiter, s.Keys)
	} else {
		x.limiters = make(map[string]*rate.Limiter)
	}
	return x, nil
}

func (x *xrate) Allow(key string) bool {
	x.mu.Lock()
	l, ok := x.limiters[key]
	if !ok {
		l = rate.NewLimiter(x.every, x.burst)
		x.limiters[key] = l
	}
	x.mu.Unlock()
	return l.Allow()
}

// visitors is the same where keys are to be forgotten: each entry knows when it
// was last used, and a goroutine looks through all of them now and then.
type visitors struct {
	mu      sync.Mutex
	entries map[string]*visitor
	every   rate.Limit
	burst   int
}

type visitor struct {
	limiter *rate.Limiter
	seen    time.Time
}

func newVisitors(every rate.Limit, s Setting) *visitors {
	v := &visitors{entries: make(map[string]*visitor), every: every, burst: s.Limit.Tokens}
	go func() {
		for range time.Tick(s.Forget / 2) {
			v.mu.Lock()
			for key, entry := range v.entries {
				if time.Since(entry.seen) > s.Forget {
					delete(v.entries, key)
				}
			}
			v.mu.Unlock()
		}
	}()
	return v
}

func (v *visitors) Allow(key string) bool {
	v.mu.Lock()
	entry, ok := v.entries[key]
	if !ok {
		entry = &visitor{limiter: rate.NewLimiter(v.every, v.burst)}
		v.entries[key] = entry
	}
	entry.seen = time.Now()
	v.mu.Unlock()
	return entry.limiter.Allow()
}

// xrateHandler sends no header at all: the package has no middleware, and this is
// the one that people write.
func xrateHandler(s Setting, next http.Handler) (http.Handler, error) {
	l, err := newXRate(s)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.Allow(r.Header.Get(load.KeyHeader)) {
			http.Error(w, http.StatusText(http.StatusTooManyRequests), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
