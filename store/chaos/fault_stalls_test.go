package chaos_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// Stalls are the times at which the machine itself had no time for this process: a
// virtual one stands still now and then, and others use its cores. Two witnesses find
// them, to which no fault is done: a timer of a millisecond, and a request to an HTTP
// server that answers at once.
type stalls struct {
	mu   sync.Mutex
	seen []stall
}

// A stall began when something was due, and ended when it came.
type stall struct{ from, to time.Time }

// tolerable is what a timer or a request may be late on a machine that is not stalled.
const tolerable = 3 * time.Millisecond

// machine watches for as long as the program runs.
var machine = sync.OnceValue(func() *stalls {
	s := new(stalls)
	go func() {
		for {
			due := time.Now().Add(time.Millisecond)
			time.Sleep(time.Millisecond)
			s.note(due, time.Now())
		}
	}()
	calm := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	go func() {
		for ; ; time.Sleep(10 * time.Millisecond) {
			start := time.Now()
			answer, err := calm.Client().Get(calm.URL)
			if err == nil {
				_ = answer.Body.Close()
			}
			s.note(start, time.Now())
		}
	}()
	return s
})

func (s *stalls) note(from, to time.Time) {
	if to.Sub(from) <= tolerable {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, stall{from, to})
}

// worst returns the longest stall between two instants, or shortly before them: what
// was held up by it takes a while to be done.
func (s *stalls) worst(from, to time.Time) (longest time.Duration) {
	from = from.Add(-20 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range slices.Backward(s.seen) {
		if one.to.Add(time.Second).Before(from) {
			break // they are in the order in which they ended, nearly
		}
		if one.to.After(from) && one.from.Before(to) {
			longest = max(longest, one.to.Sub(one.from))
		}
	}
	return longest
}
