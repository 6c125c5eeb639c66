package outage

import (
	"net/http"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// An outageLibrary is one of those that limit an HTTP API on a Redis that may hang.
type outageLibrary struct {
	name string
	// open returns the handler behind the library, as its documentation shows it, with
	// a client of its own for the Redis at that address.
	open func(address string, to library.Limit, next http.Handler) (http.Handler, error)
	// decide opens the library's call alone, with another client.
	decide func(redis.Setting) (redis.Limiter, error)
	// trips are the commands that each cost a trip to Redis, by their names in INFO.
	trips []string
}

// outageLibraries is every library, in the order of the tables.
var outageLibraries = []outageLibrary{
	{name: library.Ours, decide: openMirrored, open: outageKeyrate, trips: redis.Scripts},
	{name: "redis_rate", decide: redis.OpenRate, open: outageRedisRate, trips: redis.Scripts},
	{name: "ulule", decide: redis.OpenUlule, open: outageUlule, trips: redis.Scripts},
	// It reads the clock and the value in one pipeline.
	{name: "throttled", decide: redis.OpenThrottled, open: outageThrottled, trips: []string{"time", "eval", "setnx", "expire"}},
}

// outageLimit is that of each key.
var outageLimit = library.Limit{Tokens: 5, Per: time.Second}

// outagePlace returns where a library stands in the list.
func outagePlace(name string) int {
	return slices.IndexFunc(outageLibraries, func(l outageLibrary) bool { return l.name == name })
}

// defaultClient is the client that the documentation of the others shows. Its defaults
// are what decides how long a caller waits for a Redis that hangs.
func defaultClient(address string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Addr: address})
}

// outageEntries are the libraries of a view.
func outageEntries() []report.Entry {
	entries := make([]report.Entry, 0, len(outageLibraries))
	for _, l := range outageLibraries {
		role := library.Rival
		if l.name == library.Ours {
			role = library.Own
		}
		entries = append(entries, report.Entry{Name: l.name, Role: role})
	}
	return entries
}
