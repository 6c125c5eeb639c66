package echov4limit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/echov4limit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func Example() {
	ctx := context.Background()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	routes := []middleware.Route{{Pattern: "GET /export/:id", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}}}
	limit, err := echov4limit.New(limiter, middleware.Config{Key: middleware.Header("X-API-Key")}, routes...)
	if err != nil {
		panic(err)
	}
	e := echo.New()
	e.Use(limit)
	e.GET("/export/:id", func(c echo.Context) error { return c.String(http.StatusOK, "the export") })
	if err := echov4limit.CheckRoutes(e, routes...); err != nil {
		panic(err)
	}

	for range 2 {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/export/7", nil)
		r.Header.Set("X-API-Key", "alice")
		e.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 "GET /export/:id";q=1;w=3600, "default";q=5;w=1
	// 429 "GET /export/:id";q=1;w=3600, "default";q=5;w=1
}
