package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// A frame is what is tested of one.
type frame struct {
	At      int64
	Counted bool
	Rates   *struct {
		Checks, Sources map[string]float64
		Limits          []struct {
			Limit                       string
			Admitted, Denied, WouldDeny float64
		}
	}
	Held   []struct{ Tokens int }
	Health *struct{ Status string }
	Denied *struct {
		Denied int
		Keys   []struct{ Key string }
	}
	Table *struct {
		Version int
		Changes []struct{ What []string }
	}
}

// A watcher is a client with a stream.
type watcher struct {
	*httptest.ResponseRecorder
	mu   sync.Mutex
	end  context.CancelFunc
	done chan struct{}
}

func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseRecorder.Write(b)
}

func (w *watcher) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ResponseRecorder.Flush()
}

// watch opens a stream of a handler.
func watch(t *testing.T, h http.Handler, headers ...string) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{httptest.NewRecorder(), sync.Mutex{}, cancel, make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, "GET", "/live", nil)
	r.Header.Set("Authorization", secret)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	go func() {
		defer close(w.done)
		h.ServeHTTP(w, r)
	}()
	return w
}

// frames returns the frames that have arrived.
func (w *watcher) frames(t *testing.T) (frames []frame) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for event := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "retry: 1000\ndata: ")
		var f frame
		if err := json.Unmarshal([]byte(data), &f); err != nil || !ok || strings.Contains(data, "\n") {
			t.Fatalf("the event %q: %v", event, err)
		}
		frames = append(frames, f)
	}
	return frames
}

// TestLive: each second has a frame with what was counted since the one before, all streams get
// the same, and a stream ends after five minutes.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, err := plans.NewTable(plans.TableConfig{Default: policy(t, ratelimit.PerDay(3))})
		if err != nil {
			t.Fatal(err)
		}
		limiter := newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{Metrics: true})
		d := newDeskOn(t, limiter, admin.Config{Table: table})
		one, two := watch(t, d), watch(t, d)
		time.Sleep(500 * time.Millisecond)
		for range 5 {
			_, _ = limiter.Allow(t.Context(), "alice")
		}
		time.Sleep(time.Second)
		if err := table.Replace(plans.TableConfig{Default: policy(t, ratelimit.PerDay(4))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		frames := one.frames(t)
		if len(frames) != 3 {
			t.Fatalf("%d frames in 2.5 s", len(frames))
		}
		if f := frames[0]; !f.Counted || f.Rates != nil || f.Health == nil || f.Health.Status != "ok" || f.Table.Version != 1 {
			t.Errorf("the first frame: %+v", f)
		}
		f := frames[1]
		if f.Rates.Checks["allowed"] != 3 || f.Rates.Checks["denied"] != 2 || f.Rates.Sources["store"] != 5 || f.Rates.Limits[0].Denied != 2 || f.Rates.Limits[0].Admitted != 3 {
			t.Errorf("the rates: %+v", f.Rates)
		}
		if f.Denied.Denied != 2 || len(f.Denied.Keys) != 1 || f.Denied.Keys[0].Key != ratelimit.HashKey("alice") {
			t.Errorf("denied: %+v", f.Denied)
		}
		if f := frames[2]; f.Rates.Checks["denied"] != 0 || f.Table.Version != 2 || f.Table.Changes[0].What[0] != "default: 3/d -> 4/d" {
			t.Errorf("the last frame: %+v, %+v", f.Rates, f.Table)
		}
		two.end()
		<-two.done
		if got, want := two.frames(t), frames; !reflect.DeepEqual(got, want) {
			t.Errorf("two streams are not the same: %+v, %+v", got, want)
		}
		time.Sleep(5 * time.Minute)
		<-one.done
		if n := len(one.frames(t)); n < 299 || n > 301 || one.Header().Get("Content-Type") != "text/event-stream" || !one.Flushed {
			t.Errorf("%d frames in five minutes, %v", n, one.Header())
		}
		if e := d.last(); e.Action != admin.ActionLive || e.Status != 200 {
			t.Errorf("%+v", e)
		}
		// After a time without streams, the first frame has no rates: they would be of that time.
		time.Sleep(10 * time.Second)
		three := watch(t, d)
		time.Sleep(time.Minute)
		three.end()
		<-three.done
		if f := three.frames(t)[0]; f.Rates != nil {
			t.Errorf("%+v", f.Rates)
		}
	})
}

// TestLiveWithoutMetrics: there is health, and a note that nothing is counted.
func TestLiveWithoutMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, newDesk(t))
		time.Sleep(1500 * time.Millisecond)
		w.end()
		<-w.done
		if f := w.frames(t)[1]; f.Counted || f.Rates != nil || f.Denied != nil || f.Health.Status != "ok" {
			t.Errorf("%+v", f)
		}
	})
}

// hanging is a store that does not return before its context ends, or before long.
type hanging struct{ down }

func (hanging) Take(ctx context.Context, _ store.Request) (store.Decision, error) {
	<-ctx.Done()
	return store.Decision{}, ctx.Err()
}

func (hanging) Check(ctx context.Context) store.Health {
	<-ctx.Done()
	return store.Health{Status: store.StatusFailed}
}

// TestLiveStore: frames come each second while the store hangs, fails or panics.
func TestLiveStore(t *testing.T) {
	for name, backend := range map[string]store.Store{"hangs": hanging{}, "fails": down{}, "panics": unguarded{down{panics: true}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter := newLimiter(t, backend, ratelimit.PerSecond(5), ratelimit.Config{Metrics: true})
				w := watch(t, newDeskOn(t, limiter, admin.Config{}))
				time.Sleep(30*time.Second + 500*time.Millisecond)
				w.end()
				<-w.done
				time.Sleep(10 * time.Second) // for the check in progress
				frames := w.frames(t)
				if len(frames) != 31 || frames[30].Health == nil || frames[30].Health.Status != "failed" {
					t.Errorf("%d frames in 30 s, the last %+v", len(frames), frames[len(frames)-1])
				}
			})
		})
	}
}

// TestLiveTimeouts: the timeouts of a server do not end a stream.
func TestLiveTimeouts(t *testing.T) {
	server := httptest.NewUnstartedServer(newDesk(t))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 500*time.Millisecond, 500*time.Millisecond
	server.Start()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	events := bufio.NewScanner(response.Body)
	for n := 0; n < 4; {
		if !events.Scan() {
			t.Fatalf("the stream ends after %d events: %v", n, events.Err())
		}
		if strings.HasPrefix(events.Text(), "data: ") {
			n++
		}
	}
}

// plain is a ResponseWriter that cannot flush.
type plain struct{ http.ResponseWriter }

// TestLiveUnbuffered: where nothing can be flushed, a stream ends with its first frame, so that it
// arrives.
func TestLiveUnbuffered(t *testing.T) {
	d := newDesk(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.ServeHTTP(plain{w}, r)
	}))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	w := &watcher{ResponseRecorder: httptest.NewRecorder()}
	if _, err := io.Copy(w, response.Body); err != nil || len(w.frames(t)) != 1 {
		t.Errorf("%v: %s", err, w.Body)
	}
}

// TestLiveEnds: a stream ends when its server shuts down, when its client is gone, and when there
// are too many.
func TestLiveEnds(t *testing.T) {
	d := newDesk(t)
	server := httptest.NewServer(d)
	defer server.Close()
	open := func(ctx context.Context) (status int, retryAfter string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", secret)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		return response.StatusCode, response.Header.Get("Retry-After")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range 256 {
		if status, _ := open(ctx); status != http.StatusOK {
			t.Fatalf("stream %d: %d", i, status)
		}
	}
	if status, retryAfter := open(t.Context()); status != http.StatusServiceUnavailable || retryAfter == "" {
		t.Errorf("one stream too many: %d, retry after %q", status, retryAfter)
	}
	cancel()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := open(t.Context()); status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the streams of clients that are gone do not end")
		}
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.Config.Shutdown(ctx); err != nil {
		t.Errorf("the server waits for a stream: %v", err)
	}
}

// TestLiveShortSecond: the frames after a stream has begun late in a second have no rates of a
// part of it, which would be a matter of chance.
func TestLiveShortSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerDay(3000), ratelimit.Config{Metrics: true})
		d := newDeskOn(t, limiter, admin.Config{})
		time.Sleep(990 * time.Millisecond)
		w := watch(t, d)
		time.Sleep(5 * time.Millisecond)
		for range 5 {
			_, _ = limiter.Allow(t.Context(), "k")
		}
		time.Sleep(2 * time.Second)
		w.end()
		<-w.done
		frames := w.frames(t)
		if len(frames) != 3 || frames[1].Rates != nil || frames[2].Rates == nil || frames[2].Rates.Checks["allowed"] != 5 {
			t.Errorf("%d frames: %+v", len(frames), frames[len(frames)-1].Rates)
		}
	})
}

// deaf is a store that ignores its context from some time on.
type deaf struct {
	store.Store
	from time.Time
	end  <-chan struct{}
}

func (d deaf) Check(context.Context) store.Health {
	if time.Now().After(d.from) {
		<-d.end
	}
	return store.Health{Status: store.StatusOK, Decides: "store"}
}

// TestLiveOldHealth: health is not that of long ago, neither while a check does not end nor after a
// time without streams.
func TestLiveOldHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		backend := deaf{memstore.New(memstore.Config{}), time.Now().Add(time.Hour), end}
		d := newDeskOn(t, newLimiter(t, backend, ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
		last := func(open time.Duration) string {
			w := watch(t, d)
			time.Sleep(open)
			w.end()
			<-w.done
			frames := w.frames(t)
			return frames[len(frames)-1].Health.Status
		}
		if got := last(30 * time.Second); got != "ok" {
			t.Errorf("the store is %s", got)
		}
		time.Sleep(2 * time.Hour)
		if got := last(time.Second / 2); got != "failed" {
			t.Errorf("after two hours without a stream, the store that hangs is %s", got)
		}
		if got := last(20 * time.Second); got != "failed" {
			t.Errorf("a store that hangs is %s", got)
		}
		close(end)
		time.Sleep(time.Second)
		backend.from = time.Now().Add(time.Hour)
	})
}

// bad is a store whose metrics panic.
type bad struct{ store.Store }

func (bad) Measure(*metrics.Reading) { panic("canary") }

// TestLiveMeasurePanics: frames go on, without rates.
func TestLiveMeasurePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		limiter := newLimiter(t, bad{memstore.New(memstore.Config{})}, ratelimit.PerSecond(5), ratelimit.Config{Metrics: true})
		w := watch(t, newDeskOn(t, limiter, admin.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}))
		time.Sleep(3500 * time.Millisecond)
		w.end()
		<-w.done
		if frames := w.frames(t); len(frames) != 4 || frames[3].Rates != nil || !strings.Contains(log.String(), "Measure panicked") || strings.Contains(log.String(), "canary") {
			t.Errorf("%d frames; the log is %s", len(frames), &log)
		}
	})
}

// TestLiveShutdownDuringAuthorize: a server that shuts down while the first request for a stream is
// authorized does not wait for it.
func TestLiveShutdownDuringAuthorize(t *testing.T) {
	asked, proceed := make(chan struct{}), make(chan struct{})
	h, err := admin.New(newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}), func(*http.Request) bool {
		close(asked)
		<-proceed
		return true
	}, admin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	go func() {
		if response, err := http.Get(server.URL + "/live"); err == nil { //nolint:noctx // it ends with the server
			response.Body.Close()
		}
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- server.Config.Shutdown(ctx) }()
	time.Sleep(50 * time.Millisecond)
	close(proceed)
	if err := <-down; err != nil {
		t.Errorf("the server waits for the stream: %v", err)
	}
}

// TestLiveCrossOrigin: pages of other origins cannot keep streams open.
func TestLiveCrossOrigin(t *testing.T) {
	w := newDesk(t).ask(t, "GET", "/live", "", "Sec-Fetch-Site: cross-site")
	wantProblem(t, w, 403, "another origin")
}

func policy(t *testing.T, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
