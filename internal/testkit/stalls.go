package testkit

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Stalls records the times at which the machine did not run this process: a virtual machine
// pauses now and then, and other programs use its cores. A test in real time widens its time
// bounds by them, but never what it counts.
//
// Witnesses that the test does not disturb find the stalls: a timer of a millisecond, a
// request to an HTTP server that answers at once, and those of the test.
type Stalls struct {
	mu   sync.Mutex
	seen []stall
	due  []time.Time // for each witness, when it should have come; zero between its tries
}

// A stall began when a witness was due, and ended when it came.
type stall struct{ from, to time.Time }

// tolerable is how late a witness comes on a machine that does not stall.
const tolerable = 3 * time.Millisecond

// WatchStalls watches until the test ends. Each of more is a witness: a function that
// returns at once unless the machine stalls, such as a request to a server of the
// test's own. Another process can stall where this one does not.
func WatchStalls(tb testing.TB, more ...func()) *Stalls {
	tb.Helper()
	s, stop := StartStalls(more...)
	tb.Cleanup(stop)
	return s
}

// StartStalls is WatchStalls for more than one test. It watches until stop is called,
// which waits for the witnesses.
func StartStalls(more ...func()) (s *Stalls, stop func()) {
	calm := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	where, err := url.Parse(calm.URL)
	if err != nil {
		panic(err) // httptest gave it
	}
	s = &Stalls{due: make([]time.Time, 2+len(more))}
	stopping := make(chan struct{})
	var witnesses sync.WaitGroup
	watch := func(i int, pause, late time.Duration, try func()) {
		witnesses.Go(func() {
			for {
				s.await(i, time.Now().Add(late))
				try()
				s.came(i, time.Now())
				select {
				case <-stopping:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	watch(0, 0, time.Millisecond, func() { time.Sleep(time.Millisecond) })
	watch(1, 10*time.Millisecond, 0, func() {
		if answer, err := calm.Client().Do(&http.Request{Method: http.MethodGet, URL: where}); err == nil {
			_ = answer.Body.Close()
		}
	})
	for i, try := range more {
		watch(2+i, 2*time.Millisecond, 0, try)
	}
	return s, func() {
		close(stopping)
		witnesses.Wait()
		calm.Close()
	}
}

func (s *Stalls) await(witness int, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due[witness] = due
}

func (s *Stalls) came(witness int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if due := s.due[witness]; now.Sub(due) > tolerable {
		s.seen = append(s.seen, stall{due, now})
	}
	s.due[witness] = time.Time{}
}

// Worst returns the longest stall between two instants or shortly before them, because
// work that a stall held up takes a while to finish. It is 0 if there was none. A
// stall that still lasts counts until now; a zero from is the start of the watch.
func (s *Stalls) Worst(from, to time.Time) (longest time.Duration) {
	from = from.Add(-20 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range slices.Backward(s.seen) {
		if one.to.Add(time.Second).Before(from) {
			break // they are nearly in the order in which they ended
		}
		if one.to.After(from) && one.from.Before(to) {
			longest = max(longest, one.to.Sub(one.from))
		}
	}
	for _, due := range s.due {
		if late := time.Since(due); !due.IsZero() && due.Before(to) && late > tolerable {
			longest = max(longest, late)
		}
	}
	return longest
}

// Widen returns a time bound widened by four times the longest stall since an instant:
// one call waits for several goroutines and processes in turn. A zero since is the
// start of the watch.
func (s *Stalls) Widen(bound time.Duration, since time.Time) time.Duration {
	return bound + 4*s.Worst(since, time.Now())
}
