package chaos_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

// A tap is between the mirror and the shared store, and records each trip.
type tap struct {
	*redisstore.Store
	forgetful bool // drops the knowledge of the mirror: a control

	mu    sync.Mutex
	trips []trip
}

// A trip is one call of the shared store, and its answer.
type trip struct {
	key        string
	sent, came time.Time
	class      string // of its error, "" if there was none
	charged    bool   // according to the answer
	unknown    bool   // it may have been charged
}

// Take implements [store.Store].
func (s *tap) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.forgetful {
		r.Known = nil
	}
	one := trip{key: r.Key, sent: time.Now()}
	d, err := s.Store.Take(ctx, r)
	one.came, one.class, one.charged = time.Now(), store.ErrorClass(err), err == nil && d.Allowed && r.Cost > 0
	if failed, ok := err.(*store.Error); err != nil { //nolint:errorlint // it is never wrapped
		one.unknown = !ok || !failed.NotCharged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trips = append(s.trips, one)
	return d, err
}

func isProbe(key string) bool { return strings.HasPrefix(key, "probe ") }

// count returns the number of trips for callers that fulfil a condition.
func (s *tap) count(is func(trip) bool) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.trips {
		if !isProbe(one.key) && is(one) {
			n++
		}
	}
	return n
}

// inFlight returns, for each key, the cost that was under way at any time between two
// times.
func (s *tap) inFlight(from, to time.Time) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	cost := map[string]int{}
	for _, one := range s.trips {
		if one.sent.Before(to) && one.came.After(from) && (one.charged || one.unknown) {
			cost[one.key]++
		}
	}
	return cost
}

// lastTrips returns the duration of the longest of the last trips for a key that were
// answered before a time: the last one, and those shortly before it.
func (s *chain) lastTrips(key string, before time.Time) (longest time.Duration) {
	if s.tap == nil {
		return 0
	}
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	for _, one := range slices.Backward(s.tap.trips) { // in the order in which they came
		if one.key != key || one.class != "" || one.came.After(before) {
			continue
		}
		if longest > 0 && before.Sub(one.came) > 100*time.Millisecond {
			break
		}
		longest = max(longest, one.came.Sub(one.sent))
	}
	return longest
}
