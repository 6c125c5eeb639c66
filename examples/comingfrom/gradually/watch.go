// Package gradually changes the limiter of an API in two steps. Each step can be undone.
package gradually

import (
	"context"
	"net/http"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// Watch puts keyrate around an API that another limiter still limits. It decides each
// call, reports it to observe, and changes no response.
func Watch(limited http.Handler, observe func(context.Context, ratelimit.Event)) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{
		Shadow:  true,
		Observe: observe, // Event.Result.WouldDeny: keyrate would have denied it
	})
	if err != nil {
		return nil, err
	}
	watch, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	return watch(limited), nil
}
