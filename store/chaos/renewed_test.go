package chaos_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// renewalEvery is 0.3 of the length of the long class: how often a limiter renews what it
// holds.
const renewalEvery = 3 * time.Second

// TestHoldsSurvive: ten of ten calls are running when Redis loses its data, or hangs. Other
// nodes may start calls until the running ones have been renewed, and none afterwards. A
// call that ends makes room for one.
func TestHoldsSurvive(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup // of subtests, which wait for most of their time: more than there are cores
	for _, fault := range []lossOfHolds{
		{"FLUSHALL", false, 0, func(s *chaos.Server) { s.Do("FLUSHALL") }, true},
		{"FLUSHALL before the first renewal", true, 0, func(s *chaos.Server) { s.Do("FLUSHALL") }, true},
		{"a restart without data", false, 0, func(s *chaos.Server) { s.Kill(); s.Restart() }, true},
		{"a hang", true, 0, func(s *chaos.Server) { hang(s, full(4*time.Second, 30*time.Second)) }, false},
		{"FLUSHALL behind mirrors", false, 2, func(s *chaos.Server) { s.Do("FLUSHALL") }, true},
		{"a hang behind mirrors", true, 2, func(s *chaos.Server) { hang(s, full(4*time.Second, 30*time.Second)) }, false},
	} {
		all.Go(func() { t.Run(fault.name, func(t *testing.T) { survive(t, fault) }) })
	}
	all.Wait()
}

type lossOfHolds struct {
	name  string
	young bool // the calls have not been renewed before
	nodes int  // that have mirrors; 0: none have
	do    func(*chaos.Server)
	lost  bool // what is held is not counted until it is renewed
}

func survive(t *testing.T, fault lossOfHolds) {
	watch, server := startWatch(t), chaos.StartServer(t)
	running, other := atOnce(t, server, fault.nodes), atOnce(t, server, fault.nodes)
	ctx, p := t.Context(), policyOf(t, ratelimit.AtOnce(10))
	var holds []*ratelimit.Hold
	for range 10 {
		h, err := running.Hold(ctx, "key", 1)
		if err != nil || !h.Result().Allowed {
			t.Fatalf("%+v, %v; want a hold", h.Result(), err)
		}
		holds = append(holds, h)
	}
	defer runtime.KeepAlive(holds) // a hold that is dropped is not renewed
	if !fault.young {
		time.Sleep(time.Second)
		wantHeld(t, patientStore(t, server), "key", p, 10)
	}
	if h, err := other.Hold(ctx, "key", 1); err != nil || h.Result().Allowed {
		t.Errorf("with 10 of 10 calls running: %+v, %v; want a denial", h.Result(), err)
	}
	fault.do(server)
	ended := time.Now()
	o := newcomers(ctx, other)
	// One renewal, its tick, and a failed one that is repeated.
	renewed := watch.Widen(chaos.Patience(renewalEvery+500*time.Millisecond), ended)
	time.Sleep(renewed)
	renewed = watch.Widen(chaos.Patience(renewalEvery+500*time.Millisecond), ended)
	from := time.Now()
	time.Sleep(full(2*time.Second, 5*time.Second))
	during := o.end()
	before, after := 0, 0
	var last time.Duration
	for _, at := range during.admitted {
		if last = at.Sub(ended); last <= renewed {
			before++
		} else {
			after++
		}
	}
	t.Logf("new calls: %d admitted, the last of them %v after the fault, %d denied, %d errors", before+after, last.Round(time.Millisecond), during.denied, during.failed)
	if after > 0 || from.After(during.last) {
		t.Errorf("%d calls were admitted with 10 of 10 running, the last %v after the fault; want none later than %v", after, last, renewed)
	}
	if fault.lost && before == 0 {
		t.Error("no call was admitted at all: was anything lost?")
	}
	if during.denied < 50 {
		t.Errorf("%d calls were denied: too few for a proof", during.denied)
	}
	if !fault.lost {
		// Renewals that Redis received while it hung may count a call several times, for
		// the 20 s of the long class.
		if d := take(t, patientStore(t, server), "key", p, 0); d.Held[0] < 10 {
			t.Errorf("%d calls are counted; want 10 at least", d.Held[0])
		}
		return
	}
	wantHeld(t, patientStore(t, server), "key", p, 10)
	holds[0].Release(ctx)
	h, err := other.Hold(ctx, "key", 1)
	if err != nil || !h.Result().Allowed {
		t.Errorf("with 9 of 10 calls running: %+v, %v; want a hold", h.Result(), err)
	}
	if h, err := other.Hold(ctx, "key", 1); err != nil || h.Result().Allowed {
		t.Errorf("with 10 of 10 calls running again: %+v, %v; want a denial", h.Result(), err)
	}
	h.Release(ctx)
	for _, h := range holds {
		h.Release(ctx)
	}
	wantHeld(t, patientStore(t, server), "key", p, 0)
}

// atOnce returns a limiter of ten calls at once with a store of its own, behind a mirror if
// there are nodes.
func atOnce(t testing.TB, server *chaos.Server, nodes int) *ratelimit.Limiter {
	t.Helper()
	const timeout = "250ms" // a busy machine must not fail what ends a hold, which is not repeated
	d, err := time.ParseDuration(timeout)
	if err != nil {
		t.Fatal(err)
	}
	var backend store.Store = newStore(t, newClient(t, server.URL()+"?timeout="+timeout), redisstore.Config{})
	if nodes > 0 {
		m, err := mirror.New(backend, mirror.Config{Nodes: nodes})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		backend = m
	}
	l, err := ratelimit.New(backend, ratelimit.AtOnce(10), ratelimit.Config{Timeout: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// hang stops a server for some time.
func hang(s *chaos.Server, d time.Duration) {
	s.Hang()
	time.Sleep(d)
	s.Resume()
}

// An arrivals is calls that try to start, and end at once.
type arrivals struct {
	stop context.CancelFunc
	done sync.WaitGroup
	seen arrived
}

type arrived struct {
	admitted       []time.Time // when the calls were sent
	denied, failed int
	last           time.Time
}

// newcomers lets a call try to start every few milliseconds.
func newcomers(ctx context.Context, l *ratelimit.Limiter) *arrivals {
	a := &arrivals{}
	ctx, a.stop = context.WithCancel(ctx)
	a.done.Go(func() {
		for ctx.Err() == nil {
			sent := time.Now()
			h, err := l.Hold(context.Background(), "key", 1) // the end of the test must not look like an error
			switch {
			case err != nil:
				a.seen.failed++
			case h.Result().Allowed:
				a.seen.admitted = append(a.seen.admitted, sent)
				h.Release(context.Background())
			default:
				a.seen.denied++
			}
			a.seen.last = sent
			time.Sleep(5 * time.Millisecond)
		}
	})
	return a
}

func (a *arrivals) end() arrived {
	a.stop()
	a.done.Wait()
	return a.seen
}
