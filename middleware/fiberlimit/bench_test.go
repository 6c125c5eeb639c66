package fiberlimit_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/limiter"
	"github.com/valyala/fasthttp"

	"github.com/keyrate/keyrate/middleware/fiberlimit"
	"github.com/keyrate/keyrate/ratelimit"
)

// BenchmarkNew compares the middleware with none, and with the one that fiber has.
func BenchmarkNew(b *testing.B) {
	const perDay = 1_000_000_000
	for _, verdict := range []struct {
		name   string
		most   int
		status int
	}{{"allowed", perDay, fiber.StatusOK}, {"denied", 1, fiber.StatusTooManyRequests}} {
		for _, keys := range []int{1, 10_000} {
			for _, with := range []string{"bare", "fiberlimit", "fiber"} {
				b.Run(with+"/"+verdict.name+"/keys="+strconv.Itoa(keys), func(b *testing.B) {
					app := fiber.New()
					status := verdict.status
					switch with {
					case "bare":
						status = fiber.StatusOK
					case "fiberlimit":
						app.Use(handler(b, ratelimit.PerDay(verdict.most), fiberlimit.Config{Key: fiberlimit.Header("X-API-Key")}))
					case "fiber":
						app.Use(limiter.New(limiter.Config{
							Max: verdict.most, Expiration: 24 * time.Hour,
							KeyGenerator: func(c fiber.Ctx) string { return string(append([]byte(nil), c.Get("X-API-Key")...)) },
						}))
					}
					app.Get("/", func(c fiber.Ctx) error { return c.SendStatus(fiber.StatusOK) })
					h := app.Handler()
					var r fasthttp.RequestCtx
					r.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
					names := make([][]byte, keys)
					for i := range names {
						names[i] = []byte("key " + strconv.Itoa(i))
					}
					for range 2 {
						for _, name := range names {
							call(h, &r, name)
						}
					}
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						call(h, &r, names[i])
						if i++; i == keys {
							i = 0
						}
					}
					if got := r.Response.StatusCode(); got != status {
						b.Fatal(got)
					}
				})
			}
		}
	}
}

func call(h fasthttp.RequestHandler, r *fasthttp.RequestCtx, key []byte) {
	r.Request.Reset()
	r.Response.Reset()
	r.Request.SetRequestURI("/")
	r.Request.Header.SetBytesV("X-API-Key", key)
	h(r)
}
