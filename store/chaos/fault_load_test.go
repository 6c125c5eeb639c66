package chaos_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// A shot is one request. Shots are sent at their time, whether earlier ones were answered or
// not.
type shot struct {
	key            string
	sent, answered time.Time
	status         int // 0: there was no answer
	err            error

	mu      sync.Mutex
	decided time.Time // when the limiter answered
	source  store.Source
	allowed bool
	class   string // of the error of the limiter
}

type shotKey struct{}

const shotHeader = "X-Shot"

// observe gets each decision of the limiter.
func observe(ctx context.Context, e ratelimit.Event) {
	one, ok := ctx.Value(shotKey{}).(*shot)
	if !ok {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	one.decided, one.source, one.allowed, one.class = time.Now(), e.Result.Source(), e.Result.Allowed, store.ErrorClass(e.Err)
}

// from reports whether there was a decision from this source.
func (one *shot) from(source store.Source) bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	return !one.decided.IsZero() && one.class == "" && one.source == source
}

// end returns the latest time at which the call was admitted.
func (one *shot) end() time.Time {
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.decided.IsZero() {
		return one.answered
	}
	return one.decided
}

// admitted reports whether the call was admitted, even if the answer was lost.
func (one *shot) admitted() bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.status == http.StatusOK || one.allowed
}

// A fire is the load on a chain.
type fire struct {
	chain    *chain
	keys     []string
	together int // number of shots of one key that are sent at once
	client   *http.Client

	mu    sync.Mutex
	shots []*shot

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	flying  sync.WaitGroup
}

// perKey is the number of requests per second for a key: four times its limit.
const perKey = 20

// startFire sends requests for ten keys and the ledger, 20 per second for each, in groups.
func startFire(t testing.TB, c *chain, together int) *fire {
	t.Helper()
	f := &fire{
		chain: c, keys: append(faultKeys(), ledger), together: together,
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000, DisableCompression: true},
			Timeout:   chaos.Patience(20 * time.Second),
		},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	seed := seedOf(t)
	go f.run(rand.New(rand.NewPCG(seed, 1)))
	t.Cleanup(func() {
		f.end()
		f.client.CloseIdleConnections()
	})
	return f
}

// run sends the requests of all keys each second, in a random order.
func (f *fire) run(random *rand.Rand) {
	defer close(f.stopped)
	every := time.Second * time.Duration(f.together) / time.Duration(perKey*len(f.keys))
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	due := time.Now()
	for number := 0; ; {
		for _, i := range random.Perm(len(f.keys)) {
			timer.Reset(time.Until(due))
			select {
			case <-f.stop:
				return
			case <-timer.C:
			}
			for range f.together {
				number++
				f.send(f.keys[i], strconv.Itoa(number))
			}
			due = due.Add(every)
		}
	}
}

// send sends one request and does not wait for its answer.
func (f *fire) send(key, number string) {
	one := &shot{key: key, sent: time.Now()}
	f.mu.Lock()
	f.shots = append(f.shots, one)
	f.mu.Unlock()
	f.chain.shots.Store(number, one)
	f.flying.Go(func() {
		status, err := f.request(key, number)
		one.mu.Lock()
		one.status, one.err, one.answered = status, err, time.Now()
		one.mu.Unlock()
	})
}

func (f *fire) request(key, number string) (status int, err error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, f.chain.URL+"/", http.NoBody) // the end of the test must not look like an error
	if err != nil {
		return 0, err
	}
	request.Header.Set("X-API-Key", key)
	request.Header.Set(shotHeader, number)
	answer, err := f.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// end waits for the last answers.
func (f *fire) end() {
	f.once.Do(func() { close(f.stop) })
	<-f.stopped
	f.flying.Wait()
}

// all returns the shots so far, in the order in which they were sent.
func (f *fire) all() []*shot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*shot(nil), f.shots...)
}

// first returns the time of the first decision from a source for a call that was sent after
// a time, or the zero Time.
func (f *fire) first(after time.Time, source store.Source) (at time.Time) {
	for _, one := range f.all() {
		if one.sent.After(after) && one.from(source) && (at.IsZero() || one.end().Before(at)) {
			at = one.end()
		}
	}
	return at
}
