// Command before serves an API that throttled limits: 5 calls a second for each API
// key.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

func main() {
	store, err := memstore.NewCtx(65536)
	if err != nil {
		log.Fatal(err)
	}
	api, err := handler(store)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", api))
}

func handler(store throttled.GCRAStoreCtx) (http.Handler, error) {
	quota := throttled.RateQuota{MaxRate: throttled.PerSec(5), MaxBurst: 4}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, quota)
	if err != nil {
		return nil, err
	}
	limit := throttled.HTTPRateLimiterCtx{
		RateLimiter: limiter,
		VaryBy:      &throttled.VaryBy{Headers: []string{"X-API-Key"}},
	}
	return limit.RateLimit(http.HandlerFunc(hello)), nil
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
