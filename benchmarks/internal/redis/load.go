package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// redisKeys is how many keys there are for each verdict.
const redisKeys = 10_000

// A redisHire is the first line of a child of this suite.
type redisHire struct {
	Library  string
	First    int               // the number of its first key: no two libraries share one
	Networks map[string]string // addresses of Redis by the names of networks
}

// A redisOrder is a case for one library, or its keys' first calls.
type redisOrder struct {
	Prime   bool
	Callers int
	Keys    int
	Denied  bool
	Network string
	Pool    int
	Warm    time.Duration // before the span; 0 is a fifth of it
	Span    time.Duration
	Exceed  bool // nodes that ask for more than a limit, for the span
}

type redisWorker struct {
	redisHire
	library redisLibrary
	keys    map[bool][]string // for calls that are denied, and that are not
}

func (w *redisWorker) SetUp(args json.RawMessage) error {
	if err := json.Unmarshal(args, &w.redisHire); err != nil {
		return err
	}
	at := redisPlace(w.Library)
	if at < 0 {
		return fmt.Errorf("there is no library %q on Redis", w.Library)
	}
	w.library = redisLibraries[at]
	w.keys = map[bool][]string{}
	for n := range redisKeys {
		w.keys[false] = append(w.keys[false], load.NewKey(w.First+2*n))
		w.keys[true] = append(w.keys[true], load.NewKey(w.First+2*n+1))
	}
	return nil
}

func (w *redisWorker) Do(args json.RawMessage) (any, error) {
	var o redisOrder
	if err := json.Unmarshal(args, &o); err != nil {
		return nil, err
	}
	ctx := context.Background()
	if o.Prime {
		return nil, w.Prime(ctx, o.Denied)
	}
	if o.Exceed {
		return exceed(ctx, w.library, Setting{Network: "tcp", Address: w.Networks[o.Network]}, exceedFirst+w.First, o.Span)
	}
	var found report.Figures
	var err error
	for range 3 { // what else the machine does can take longer than the timeout of all calls
		if found, err = w.measure(ctx, o); !errors.Is(err, errNoAnswer) {
			break
		}
	}
	return found, err
}

var errNoAnswer = errors.New("no call got an answer")

// open makes a client and the library's limiter on it.
func (w *redisWorker) open(network string, denied bool, pool int) (Limiter, error) {
	s := Setting{Network: "tcp", Address: w.Networks[network], Limit: redisPlenty, Pool: pool}
	if network == unixSocket {
		s.Network = "unix"
	}
	if denied {
		s.Limit = redisOnce
	}
	return w.library.open(s)
}

// prime makes the first call of each key, which must be allowed. Redis knows all
// keys then, and denies further calls of those whose limit is one.
func (w *redisWorker) Prime(ctx context.Context, denied bool) (err error) {
	l, err := w.open(unixSocket, denied, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	const callers = 32
	_, err = Each(callers, func(caller int) error {
		for n := caller; n < redisKeys; n += callers {
			if err := first(ctx, l, w.keys[denied][n]); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// first makes a key's first call. One that gets no answer may have been charged; it
// is made again, and then may be denied.
func first(ctx context.Context, l Limiter, key string) error {
	var err error
	for try := range 50 {
		var allowed bool
		if allowed, err = l.Allow(ctx, key); err != nil {
			continue
		}
		if !allowed && try == 0 {
			return errors.New("a key's first call is denied: wrong answers")
		}
		return nil
	}
	return err
}

// Each lets callers work at once, and returns how long it took.
func Each(callers int, work func(caller int) error) (time.Duration, error) {
	errs := make([]error, callers)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range callers {
		wg.Go(func() { errs[i] = work(i) })
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range errs {
		if err != nil { // one will do
			return took, err
		}
	}
	return took, nil
}

// measure opens a client, warms it up, and counts what its callers get done, and
// what that costs Redis.
func (w *redisWorker) measure(ctx context.Context, o redisOrder) (found report.Figures, err error) {
	l, err := w.open(o.Network, o.Denied, o.Pool)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	keys := w.keys[o.Denied][:o.Keys]
	if _, err := w.hurry(ctx, l, keys, o, max(o.Warm, o.Span/5, 30*time.Millisecond)); err != nil {
		return nil, err
	}
	runtime.GC() // of what was before
	info := redis.NewClient(&redis.Options{Network: "unix", Addr: w.Networks[unixSocket], PoolSize: 1})
	defer func() { err = errors.Join(err, info.Close()) }()
	before, err := ReadInfo(ctx, info)
	if err != nil {
		return nil, err
	}
	calls, err := w.hurry(ctx, l, keys, o, o.Span)
	if err != nil {
		return nil, err
	}
	after, err := ReadInfo(ctx, info)
	if err != nil {
		return nil, err
	}
	if calls.histogram.TotalCount() == 0 {
		return nil, fmt.Errorf("%w, of %d; the last: %s", errNoAnswer, calls.failures, calls.last)
	}
	found = calls.figures()
	decisions := float64(calls.histogram.TotalCount())
	found["redis_cpu_us"] = 1e6 * after.Since(before, "used_cpu_user", "used_cpu_sys") / decisions
	found["connections"] = after["connected_clients"] - 2 // this one and the parent's
	found["trips"] = after.Since(before, Suffixed(w.library.trips, ".calls")...) / decisions
	// The pipelines that arrive are fewer than the calls in them.
	found["reads"] = after.Since(before, "total_reads_processed") / decisions
	if !w.library.bare {
		found["script_us"] = after.Since(before, Suffixed(Scripts, ".usec")...) / decisions
	}
	return found, nil
}

// Suffixed returns names with something behind each.
func Suffixed(names []string, suffix string) []string {
	names = slices.Clone(names)
	for i := range names {
		names[i] += suffix
	}
	return names
}
