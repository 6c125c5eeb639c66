package fiberlimit_test

import (
	"fmt"

	"github.com/gofiber/fiber/v3"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/fiberlimit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// Each key may make two requests per minute.
func Example() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(2), ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	limit, err := fiberlimit.New(limiter, fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")})
	if err != nil {
		panic(err)
	}
	app := fiber.New()
	app.Use(limit)
	app.Get("/", func(c fiber.Ctx) error { return c.SendString("hello") })

	client := newClient(app) // or app.Listen(":8080")
	for range 3 {
		r := client.do("GET", "/", "X-API-Key", "alice")
		fmt.Println(r.StatusCode(), string(r.Header.Peek("RateLimit")))
	}
	// Output:
	// 200 "default";r=1;t=30
	// 200 "default";r=0;t=30
	// 429 "default";r=0;t=30
}

// A route has a limit of its own beside that of the key. The middleware is registered with each
// route, so that it knows the pattern.
func ExampleNew_routes() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(100), ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	routes := []middleware.Route{{Pattern: "GET /v1/export/:id", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}}}
	limit, err := fiberlimit.New(limiter, fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")}, routes...)
	if err != nil {
		panic(err)
	}
	app := fiber.New()
	v1 := app.Group("/v1")
	v1.Get("/export/:id", limit, func(c fiber.Ctx) error { return c.SendString(c.Params("id")) })
	v1.Get("/", limit, func(c fiber.Ctx) error { return c.SendString("hello") })
	if err := fiberlimit.CheckRoutes(app, routes...); err != nil {
		panic(err)
	}

	client := newClient(app)
	for _, path := range []string{"/v1/export/7", "/v1/export/8", "/v1/"} {
		r := client.do("GET", path, "X-API-Key", "alice")
		fmt.Println(r.StatusCode(), path)
	}
	// Output:
	// 200 /v1/export/7
	// 429 /v1/export/8
	// 200 /v1/
}

// The price of a request is known when a stream ends: the tokens that a model has used.
func ExampleConfig_reserve() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(10_000), ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	limit, err := fiberlimit.New(limiter, fiberlimit.Config{
		Key:     fiberlimit.Header("X-API-Key"),
		Reserve: func(fiber.Ctx) int { return 4000 }, // held until the price is known
	})
	if err != nil {
		panic(err)
	}
	app := fiber.New()
	app.Get("/complete", limit, func(c fiber.Ctx) error {
		used := 250
		middleware.Settle(c.Context(), used)
		return c.SendString("done")
	})

	client := newClient(app)
	for range 2 {
		r := client.do("GET", "/complete", "X-API-Key", "alice")
		fmt.Println(r.StatusCode(), string(r.Header.Peek("X-Rate-Limit-Remaining")))
	}
	// Output:
	// 200 6000
	// 200 5750
}
