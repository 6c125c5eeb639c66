package library

import (
	"net/http"
	"time"

	"github.com/didip/tollbooth/v7"
	tollboothlimiter "github.com/didip/tollbooth/v7/limiter"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

type tollboothLimiter struct{ limiter *tollboothlimiter.Limiter }

func newTollbooth(s Setting) (Limiter, error) { return tollboothLimiter{tollboothNew(s)}, nil }

func (t tollboothLimiter) Allow(key string) bool { return !t.limiter.LimitReached(key) }

func tollboothNew(s Setting) *tollboothlimiter.Limiter {
	var expire *tollboothlimiter.ExpirableOptions
	if s.Forget > 0 {
		expire = &tollboothlimiter.ExpirableOptions{DefaultExpirationTTL: s.Forget}
	}
	l := tollbooth.NewLimiter(float64(s.Limit.Tokens)/s.Limit.Per.Seconds(), expire).SetBurst(s.Limit.Tokens)
	if s.Forget > 0 {
		go func() { // which its cache asks for, twice per lifetime
			for range time.Tick(s.Forget / 2) {
				l.DeleteExpiredTokenBuckets()
			}
		}()
	}
	return l
}

// tollboothHandler limits by the value of the header, and beside it by the
// address, which its middleware cannot leave out. The path it can.
func tollboothHandler(s Setting, next http.Handler) (http.Handler, error) {
	l := tollboothNew(s).SetIPLookups([]string{"RemoteAddr"}).SetIgnoreURL(true).SetHeader(load.KeyHeader, nil)
	return tollbooth.LimitHandler(l, next), nil
}
