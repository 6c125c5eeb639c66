package gradually

import (
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// Limit limits an API with keyrate, and keeps what its clients know: the headers and the
// text of the limiter before, beside keyrate's headers.
func Limit(api http.Handler) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{
		Key:             middleware.Header("X-API-Key"),
		ResultInContext: true,
		Denied: func(w http.ResponseWriter, _ *http.Request, result ratelimit.Result) {
			setOldHeaders(w.Header(), result)
			http.Error(w, "Limit exceeded", http.StatusTooManyRequests)
		},
	})
	if err != nil {
		return nil, err
	}
	return limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if result, ok := middleware.ResultFrom(r.Context()); ok {
			setOldHeaders(w.Header(), result)
		}
		api.ServeHTTP(w, r)
	})), nil
}

func setOldHeaders(h http.Header, result ratelimit.Result) {
	full := time.Now().Add(result.ResetAfter())
	h.Set("X-RateLimit-Limit", strconv.Itoa(result.Limit().Burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(result.Remaining()))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(full.Unix(), 10))
}
