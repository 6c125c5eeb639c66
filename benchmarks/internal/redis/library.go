package redis

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// A redisLibrary is one of the libraries that are compared on Redis.
type redisLibrary struct {
	name string
	// base is the library that this is a variant of, with more connections than its
	// documentation gives it; "" if it is none.
	base string
	open func(Setting) (Limiter, error)
	// trips are the commands that each cost a trip to Redis, by their names in INFO.
	// Commands that a script calls, or that share a pipeline with one of these, are
	// not among them.
	trips []string
	bare  bool // it denies nothing
	// narrow is whether it is measured over TCP only, and not with the most callers.
	narrow bool
	// exact is whether it is a fault to admit more than the limit.
	exact bool
	// leases is whether keys that are called often get leases: that takes a few seconds.
	leases bool
	// exceeds is whether it takes part where nodes ask for more than the limit.
	exceeds bool
}

// Variants have so much room that no caller waits for a connection.
const (
	widePool     = " (wide pool)"
	autoPipeline = "redis_rate (AutoPipeline)"
	manyPipes    = "redis_rate (8 pipelines)"
	withLeases   = library.Ours + " with leases"
	loopName     = "loop alone"
)

// Scripts are the commands that run a script.
var Scripts = []string{"evalsha", "eval"}

// redisLibraries is every library, in the order of the tables.
var redisLibraries = []redisLibrary{
	{name: library.Ours, open: openKeyrate, trips: Scripts, exact: true, exceeds: true},
	{name: withLeases, open: openLeases, trips: Scripts, narrow: true, exact: true, leases: true, exceeds: true},
	{name: "redis_rate", open: OpenRate, trips: Scripts, exceeds: true},
	{name: "redis_rate" + widePool, base: "redis_rate", open: OpenRate, trips: Scripts},
	{name: autoPipeline, open: openAutoPipeline(nil), trips: Scripts},
	{name: manyPipes, base: autoPipeline, open: openAutoPipeline(&redis.AutoPipelineOptions{MaxConcurrentBatches: 8, Unordered: true}), trips: Scripts},
	// It reads the clock and the value in one pipeline.
	{name: "throttled", open: OpenThrottled, trips: []string{"time", "eval", "setnx", "expire"}},
	{name: "throttled" + widePool, base: "throttled", open: OpenThrottled, trips: []string{"time", "eval", "setnx", "expire"}},
	{name: "ulule", open: OpenUlule, trips: Scripts},
	{name: "ulule" + widePool, base: "ulule", open: OpenUlule, trips: Scripts},
	{name: "bare GET", open: openBare, trips: []string{"get"}, bare: true},
	{name: "bare GET" + widePool, base: "bare GET", open: openBare, trips: []string{"get"}, bare: true},
	// Controls: limiters that admit too much, and one that is not there.
	{name: "local counter (10 ms)", open: openLocal(10 * time.Millisecond), trips: Scripts, bare: true, narrow: true, exceeds: true},
	{name: "local counter (50 ms)", open: openLocal(50 * time.Millisecond), trips: Scripts, bare: true, narrow: true, exceeds: true},
	{name: loopName, open: openLoop, bare: true, narrow: true},
}

// A Limiter is a library's call on Redis, with a client of its own.
type Limiter interface {
	Allow(ctx context.Context, key string) (bool, error)
	Close() error
}

// A Setting is how a library is to be set up.
type Setting struct {
	Network, Address string
	Limit            library.Limit
	// Pool is how many connections its client may open; 0 is the default.
	Pool int
}

// options are those that most programs use.
func (s Setting) options() *redis.Options {
	return &redis.Options{Network: s.Network, Addr: s.Address, PoolSize: s.Pool}
}

// The limits on Redis. Where all is allowed a bucket is never full again during a
// run: a value that expires at once would make each call the first of its key. The burst is
// enough for some millions of calls a second of one key, and a lease lives for 0.95 s.
var (
	redisPlenty = library.Limit{Tokens: 1_000_000_000, Per: 365 * 24 * time.Hour}
	redisOnce   = library.Limit{Tokens: 1, Per: 24 * time.Hour}
)

// redisNames returns the names of a library and of its variants.
func redisNames(name string) []string {
	var names []string
	for _, l := range redisLibraries {
		if l.name == name || l.base == name {
			names = append(names, l.name)
		}
	}
	return names
}

// redisPlace returns where a library stands in the list.
func redisPlace(name string) int {
	return slices.IndexFunc(redisLibraries, func(l redisLibrary) bool { return l.name == name })
}

// redisEntries are the libraries of a view.
func redisEntries() []report.Entry {
	entries := make([]report.Entry, 0, len(redisLibraries))
	for _, l := range redisLibraries {
		role := library.Rival
		switch {
		case l.name == library.Ours, l.leases:
			role = library.Own
		case l.bare:
			role = library.Yardstick
		}
		entries = append(entries, report.Entry{Name: l.name, Role: role})
	}
	return entries
}
