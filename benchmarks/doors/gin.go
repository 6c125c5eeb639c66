package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	ululelimiter "github.com/ulule/limiter/v3"
	ululegin "github.com/ulule/limiter/v3/drivers/middleware/gin"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/ginlimit"
)

type addGin func(s setting) (gin.HandlerFunc, error)

var ginLimiters = []limiter{
	{name: library.Ours, add: addGin(func(s setting) (gin.HandlerFunc, error) {
		l, err := keyrateLimiter(s)
		if err != nil {
			return nil, err
		}
		return ginlimit.New(l, middleware.Config{Key: middleware.Header(load.KeyHeader)})
	})},
	{name: "ulule's gin driver", add: addGin(func(s setting) (gin.HandlerFunc, error) {
		store := memory.NewStoreWithOptions(ululelimiter.StoreOptions{CleanUpInterval: 24 * time.Hour})
		l := ululelimiter.New(store, ululelimiter.Rate{Period: s.Limit.Per, Limit: int64(s.Limit.Tokens)})
		return ululegin.NewMiddleware(l, ululegin.WithKeyGetter(func(c *gin.Context) string { return c.GetHeader(load.KeyHeader) })), nil
	})},
}

func openGin(add any, s setting) (call, error) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	if add, ok := add.(addGin); ok {
		limit, err := add(s)
		if err != nil {
			return nil, err
		}
		engine.Use(limit)
	}
	engine.GET("/", func(c *gin.Context) { c.Status(http.StatusOK) })
	return serving(engine)
}
