package doorstest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// A part of the script.
type part struct {
	name   string
	script func(p *player)
}

// A player plays a part with one door.
type player struct {
	t        *testing.T
	door     Door
	realTime bool
	limiter  *ratelimit.Limiter
	send     func(context.Context, Call) Answer
	answers  []answer

	mu      sync.Mutex
	faults  []string
	actions map[string]*action
}

// An answer is what is compared, with the call.
type answer struct {
	Answer

	to string // the call, for a fault
}

// An action is what the handler of one call does.
type action struct {
	work func(ctx context.Context)
	ran  int
}

// patience is how long a part waits for what should happen at once.
const patience = 10 * time.Second

// play plays the part in a bubble, where time stands still while something runs, or in real time.
func (part part) play(t *testing.T, d Door, realTime bool) *player {
	p := &player{door: d, realTime: realTime, actions: map[string]*action{}}
	if realTime {
		p.t = t
		part.script(p)
		return p
	}
	synctest.Test(t, func(t *testing.T) {
		p.t = t
		part.script(p)
		synctest.Wait()
	})
	return p
}

func (p *player) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

// open opens the door with limits on memory.
func (p *player) open(s Setup, c ratelimit.Config, limits ...ratelimit.Limit) {
	p.t.Helper()
	policy, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		p.t.Fatal(err)
	}
	hour, err := ratelimit.NewBlocked(ratelimit.Block{Until: time.Now().Add(time.Hour), Reason: secretReason}, policy)
	if err != nil {
		p.t.Fatal(err)
	}
	p.openOn(memstore.New(memstore.Config{}), s, c, ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		switch key {
		case "exempt":
			return ratelimit.Unlimited, nil
		case "blocked":
			return ratelimit.Blocked, nil
		case "blocked-for-an-hour":
			return hour, nil
		}
		return policy, nil
	}))
}

func (p *player) openOn(on store.Store, s Setup, c ratelimit.Config, limits ratelimit.Limits) {
	p.t.Helper()
	var err error
	if p.limiter, err = ratelimit.New(on, limits, c); err != nil {
		p.t.Fatal(err)
	}
	s.Limiter, s.Handle = p.limiter, p.handle
	for i := range s.Routes {
		s.Routes[i].Pattern = p.door.Pattern
	}
	p.send = p.door.Open(p.t, s)
}

// handle is what the handler does.
func (p *player) handle(ctx context.Context, name string) {
	p.mu.Lock()
	a := p.actions[name]
	if a != nil {
		a.ran++
	}
	p.mu.Unlock()
	switch {
	case a == nil:
		p.fault("a handler runs with the action %q, which no call has", name)
	case a.work != nil:
		a.work(ctx)
	}
}

// try sends a call whose handler does work, and returns how often that ran.
func (p *player) try(ctx context.Context, c Call, work func(ctx context.Context)) (answered Answer, ran int, panicked any) {
	a := &action{work: work}
	p.mu.Lock()
	c.Action = strconv.Itoa(len(p.actions) + 1)
	p.actions[c.Action] = a
	p.mu.Unlock()
	func() {
		defer func() { panicked = recover() }()
		answered = p.send(ctx, c)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	return answered, a.ran, panicked
}

// secretReason is why a key is blocked, which no answer shows.
const secretReason = "a reason for operators"

// note checks an answer by itself, and keeps it to be compared.
func (p *player) note(status int, c Call, got Answer, ran int, panicked any) {
	a := answer{got, fmt.Sprintf("call %d, of %q with the keys %q", len(p.answers)+1, c.Path, c.Keys)}
	p.answers = append(p.answers, a)
	runs := 0
	if status == http.StatusOK {
		runs = 1
	}
	if panicked != nil {
		p.fault("%s: panic: %v", a.to, panicked)
	}
	if got.Status != status {
		p.fault("%s: the status is %d, want %d", a.to, got.Status, status)
	}
	if strings.Contains(string(got.Body), secretReason) {
		p.fault("%s: the body shows the reason of a block", a.to)
	}
	if ran != runs {
		p.fault("%s: the handler ran %d times, want %d", a.to, ran, runs)
	}
}

// want sends a call that must get that status. A handler that runs does nothing.
func (p *player) want(status int, c Call) { p.wantFor(status, c, nil) }

// wantFor is want for a call whose handler does work.
func (p *player) wantFor(status int, c Call, work func(ctx context.Context)) {
	got, ran, panicked := p.try(context.Background(), c, work) // which does not end: a door may look at that
	p.note(status, c, got, ran, panicked)
}

// preflight sends a call as a CORS preflight, which passes, free and without headers. What the
// framework makes of it is not compared: the routes are for GET.
func (p *player) preflight(c Call) {
	if p.door.Brief {
		return
	}
	c.Preflight = true
	got, _, panicked := p.try(context.Background(), c, nil)
	limited := got.Header.Get(middleware.HeaderRateLimit) != "" || got.Header.Get(middleware.HeaderRemaining) != ""
	switch got.Status {
	case denied, noKey, ambiguous, down, forbidden:
		limited = true
	}
	if limited || panicked != nil {
		p.fault("a preflight to %q with the keys %q is limited: the status is %d, the headers %v; panic: %v", c.Path, c.Keys, got.Status, got.Header, panicked)
	}
}

// settling is the work of a handler that settles at a price.
func (p *player) settling(price int) func(context.Context) {
	settle := p.door.Settle
	if settle == nil {
		settle = middleware.Settle
	}
	return func(ctx context.Context) {
		if !settle(ctx, price) {
			p.fault("Settle(%d) reports that nothing is to be settled", price)
		}
	}
}

// during sends a call that must be served, and calls f while its handler runs; cancel ends the
// context of the call, which then is not compared. The handler then does work.
func (p *player) during(c Call, work func(ctx context.Context), f func(cancel func())) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	entered, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var got Answer
	var ran int
	var panicked any
	go func() {
		defer close(left)
		got, ran, panicked = p.try(ctx, c, func(ctx context.Context) {
			close(entered)
			<-release
			if work != nil {
				work(ctx)
			}
		})
	}()
	select {
	case <-entered:
		f(cancel)
	case <-left:
		p.fault("a call of %q that must be served was not", c.Path)
	case <-time.After(patience):
		p.fault("the handler of a call of %q does not run within %v", c.Path, patience)
	}
	close(release)
	select {
	case <-left:
	case <-time.After(patience):
		p.fault("a call of %q is not answered within %v after its handler", c.Path, patience)
		return
	}
	if ctx.Err() == nil {
		p.note(http.StatusOK, c, got, ran, panicked)
	}
}

// ended waits until calls with that key hold nothing.
func (p *player) ended(key string) {
	if !p.realTime {
		synctest.Wait()
	}
	for range patience / time.Millisecond {
		r, err := p.limiter.Peek(context.Background(), key)
		if err != nil {
			p.fault("Peek: %v", err)
			return
		}
		held := 0
		for i := range r.Len() {
			held += r.State(i).Held
		}
		if held == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	p.fault("%v after the call with the key %q, something is held", patience, key)
}

// A downStore cannot decide.
type downStore struct{}

var errDown = &store.Error{Class: "down", Err: errors.New("connection refused")}

func (downStore) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errDown
}

func (downStore) Reset(context.Context, store.Request) error { return errDown }
