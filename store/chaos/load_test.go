package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// A load is callers that call a store all the time, and their answers.
type load struct {
	store   store.Store
	timeout time.Duration
	limit   ratelimit.Limit
	watch   *watch // nil: stalls excuse nothing

	mu      sync.Mutex
	answers map[string][]answer // by key, in order
	windows map[string]*windows
	stop    context.CancelFunc
	callers sync.WaitGroup
}

type answer struct {
	at      time.Time // when it arrived
	took    time.Duration
	allowed bool
	class   string // of the error, "" if there was none
	late    bool   // it ran out of time: the call, or the dial for its connection
}

// startLoad starts callers for each key, which pause between calls. The test ends the load
// with end.
func startLoad(t *testing.T, backend store.Store, timeout time.Duration, limit ratelimit.Limit, keys []string, callers int, pause time.Duration) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	l := &load{store: backend, timeout: timeout, limit: limit, answers: map[string][]answer{}, windows: map[string]*windows{}, stop: cancel}
	p := policyOf(t, limit)
	for _, key := range keys {
		l.windows[key] = newWindows(limit)
	}
	for _, key := range keys {
		for range callers {
			l.callers.Go(func() {
				for ctx.Err() == nil {
					l.call(key, p)
					time.Sleep(pause)
				}
			})
		}
	}
	return l
}

func (l *load) call(key string, p []store.Limit) {
	start := time.Now()
	d, err := l.store.Take(context.Background(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: l.timeout}) // the end of the test must not look like an error
	a := answer{at: time.Now(), took: time.Since(start), allowed: d.Allowed, class: store.ErrorClass(err)}
	failed, isNet := errors.AsType[net.Error](err)
	a.late = a.class == store.ClassTimeout || isNet && failed.Timeout() || errors.Is(err, redis.ErrPoolTimeout)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[key] = append(l.answers[key], a)
	if a.class == "" && a.allowed {
		l.windows[key].add(d.Now, 1)
	}
}

// end stops the callers and waits for their answers.
func (l *load) end() {
	l.stop()
	l.callers.Wait()
}

// A tally counts the answers for some keys in a time.
type tally struct {
	answered, admitted int
	errors             map[string]int // by class
	late               int            // calls that ran out of time
	spoilt             int            // of these, the calls that a stall explains
	took               []time.Duration
}

func (c tally) String() string {
	return fmt.Sprintf("%d answered, %d admitted, errors %v, slowest %v", c.answered, c.admitted, c.errors, slowest(c.took).Round(time.Millisecond))
}

// between counts the answers between two times; a zero Time is no bound. Without keys it
// counts those of all keys.
func (l *load) between(from, to time.Time, keys ...string) tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := tally{errors: map[string]int{}}
	if len(keys) == 0 {
		for key := range l.answers {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		for _, a := range l.answers[key] {
			if a.at.Before(from) || !to.IsZero() && !a.at.Before(to) {
				continue
			}
			c.took = append(c.took, a.took)
			switch {
			case a.class != "":
				c.errors[a.class]++
				if a.late {
					c.late++
				}
				if l.spoilt(a) {
					c.spoilt++
				}
			case a.allowed:
				c.admitted++
			}
			c.answered++
		}
	}
	return c
}

func (l *load) all() tally { return l.between(time.Time{}, time.Time{}) }

func (l *load) spoilt(a answer) bool { return l.watch != nil && l.watch.spoilt(a) }

// back returns how long after the fault calls for a key were answered again, with at most
// one error in ten during the next half second. Errors that a stall explains do not count.
func (l *load) back(fault time.Time, key string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	answers := l.answers[key]
	first := slices.IndexFunc(answers, func(a answer) bool { return a.class != "" && a.at.After(fault) })
	if first < 0 {
		return 0
	}
	for i := first; i < len(answers); i++ {
		if answers[i].class != "" {
			continue
		}
		all, failed := 0, 0
		for _, a := range answers[i:] {
			if a.at.Sub(answers[i].at) > 500*time.Millisecond {
				break
			}
			if l.spoilt(a) {
				continue
			}
			all++
			if a.class != "" {
				failed++
			}
		}
		if failed*10 <= all {
			return answers[i].at.Sub(fault)
		}
	}
	return math.MaxInt64
}

// untilBack waits until calls for all keys have been answered again for half a second.
func (l *load) untilBack(t testing.TB, fault time.Time, keys ...string) {
	t.Helper()
	for _, key := range keys {
		chaos.Until(t, l.patience(), "calls for "+key+" are answered again", func() bool {
			back := l.back(fault, key)
			return back < math.MaxInt64 && time.Since(fault)-back > 500*time.Millisecond
		})
	}
}

// patience returns how long it may take until calls are answered again after a fault.
func (l *load) patience() time.Duration {
	if l.watch == nil {
		return patience
	}
	return l.watch.Widen(patience, time.Time{})
}

// wantNoErrors fails the test if a call had an error.
func wantNoErrors(t testing.TB, c tally) {
	t.Helper()
	if len(c.errors) > 0 {
		t.Errorf("there were errors: %v", c)
	}
}

// wantClasses fails the test if there was no error, or one of another class.
func wantClasses(t testing.TB, c tally, classes ...string) {
	t.Helper()
	if len(c.errors) == 0 {
		t.Errorf("there was no error: %v", c)
	}
	known := map[string]bool{}
	for _, class := range classes {
		known[class] = true
	}
	for class, n := range c.errors {
		if !known[class] {
			t.Errorf("%d errors are of class %q; want %q", n, class, classes)
		}
	}
}

// countable is a limit with one token per hour: the debt of a bucket, in whole tokens, is
// what it was charged, however long a test takes.
var countable = ratelimit.PerHour(1).WithBurst(80_000)

// charged returns the number of tokens that a bucket of a countable limit was charged.
func charged(t testing.TB, backend store.Store, key string, limit ratelimit.Limit) int {
	t.Helper()
	d := take(t, backend, key, policyOf(t, limit), 0)
	return int((d.Debts[0].Micros + historyToken - 1) / historyToken)
}

// wantCharged fails the test unless each key was charged exactly what it was admitted.
func (l *load) wantCharged(t testing.TB, keys ...string) {
	t.Helper()
	for _, key := range keys {
		admitted := l.windows[key].tokens()
		if n := charged(t, l.store, key, l.limit); n != admitted || admitted == 0 {
			t.Errorf("key %s: %d calls were admitted, and %d charged", key, admitted, n)
		}
	}
}

// wantAdmitted fails the test unless each key was admitted at most extra tokens above its
// bound in any window, and in all at least 95% of the ideal, less the cost of stalls: calls
// that timed out but were charged, and time without calls.
func (l *load) wantAdmitted(t testing.TB, extra int64, keys ...string) {
	t.Helper()
	for _, key := range keys {
		w := l.windows[key]
		if over := w.worst(); over > extra {
			t.Errorf("key %s: in one window %d tokens too many were admitted; want %d at most", key, over, extra)
		}
		l.mu.Lock()
		offered := len(l.answers[key])
		l.mu.Unlock()
		ideal, n := w.ideal(w.calls[len(w.calls)-1].At), w.tokens()
		least, pressed := ideal*95/100, offered >= 2*n
		if l.watch != nil {
			stalled := l.watch.Widen(0, time.Time{})
			least -= l.between(time.Time{}, time.Time{}, key).spoilt + int(int64(l.limit.Rate)*int64(stalled)/int64(l.limit.Period))
			pressed = pressed || stalled > 0
		}
		if n < least || !pressed {
			t.Errorf("key %s: of %d calls %d were admitted; want at least %d of %d, and twice as many calls", key, offered, n, least, ideal)
		}
	}
}

// keysNamed returns n keys.
func keysNamed(name string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s %d", name, i)
	}
	return keys
}

// reconnect is how long go-redis waits before it dials again after as many refused
// connections as the pool has.
const reconnect = time.Second

func slowest(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return slices.Max(took)
}

func count(errors map[string]int) int {
	n := 0
	for _, m := range errors {
		n += m
	}
	return n
}
