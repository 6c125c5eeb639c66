package chaos_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultNone: there is no fault, and the requests of a key come in fours. The controls
// are compared with it.
func TestFaultNone(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		b := undisturbed(t, "in fours", startChain(t, chainConfig{At: server}), 4)
		return b, wants{Slowest: budget, Stays: true, Goroutines: 50, Gap: 700 * time.Millisecond, Ledger: server}
	})
}

// undisturbed plays a bout without a fault.
func undisturbed(t *testing.T, name string, c *chain, together int) *bout {
	t.Helper()
	b := startBoutOf(t, "0", name, c, together)
	b.begin(func() {})
	b.end(func() {})
	b.finish()
	return b
}

// TestFaultControls: the judge of the table finds programs that break the promises.
func TestFaultControls(t *testing.T) {
	for name, control := range map[string]func(t *testing.T, last bool) bool{
		"admits everything": func(t *testing.T, last bool) bool {
			return undisturbed(t, "admits everything", startChain(t, chainConfig{Instead: alwaysFull{}}), 1).wantBroken(wants{}, "over", last)
		},
		"denies everything": func(t *testing.T, last bool) bool {
			return undisturbed(t, "denies everything", startChain(t, chainConfig{Instead: deniesAll{}}), 1).wantBroken(wants{}, "under", last)
		},
		"reads, then writes": func(t *testing.T, last bool) bool {
			backend := readThenWrite{patientClient(t, chaos.StartServer(t))}
			return undisturbed(t, "reads, then writes, in fours", startChain(t, chainConfig{Instead: backend}), 4).wantBroken(wants{}, "over", last)
		},
		"carries nothing": func(t *testing.T, last bool) bool {
			server := chaos.StartServer(t)
			return flushed(t, server, startChain(t, chainConfig{At: server, Forgetful: true}), "carries nothing", 1).wantBroken(wants{}, "over", last)
		},
		"pings for its health": pings,
		"retries":              retries,
		"does not heed time":   heedsNoTime,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for try := 1; !control(t, try == 3); try++ {
				t.Log("the machine stalled; once more")
			}
		})
	}
}

// alwaysFull decides each call as the first of its key.
type alwaysFull struct{ admitsAll }

func (alwaysFull) Take(_ context.Context, r store.Request) (d store.Decision, err error) {
	d.Allowed, d.Now = true, time.Now().UnixMicro()
	d.Debts[0], _ = r.Limits[0].Cost(r.Cost)
	return d, nil
}

// pings is a program whose health check pings, while Redis is out of memory.
func pings(t *testing.T, last bool) bool {
	server := chaos.StartServer(t)
	client := patientClient(t, server)
	c := startChain(t, chainConfig{At: server, Health: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client.Ping(r.Context()).Err() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"status":"failed"}`))
			return
		}
		_, _ = w.Write([]byte(`{"status":"ok"}`))
	})})
	b := startBoutOf(t, "6", "pings for its health", c, 1)
	b.begin(func() { server.Do("CONFIG", "SET", "maxmemory", 1) })
	time.Sleep(time.Second)
	h := c.health(t)
	wantErrors(t, server, "OOM")
	b.end(func() { server.Do("CONFIG", "SET", "maxmemory", 0) })
	b.finish()
	v := b.judge(wants{Ledger: server})
	if !healthy(h, redisstore.ClassMemory) {
		v.add("health", "the health check says %+v", h)
	}
	return b.foundOut(v, "health", last)
}

// resends is a client that sends each failed command once more.
type resends struct{ redis.UniversalClient }

func (c resends) Process(ctx context.Context, cmd redis.Cmder) (err error) {
	for range 4 {
		if err = c.UniversalClient.Process(ctx, cmd); err == nil || ctx.Err() != nil {
			return err
		}
		if _, reply := err.(redis.Error); reply { //nolint:errorlint // it is not wrapped
			return err
		}
		cmd.SetErr(nil)
	}
	return err
}

// retries is a program whose client sends a decision again when no answer came.
func retries(t *testing.T, last bool) bool {
	server := chaos.StartServer(t)
	proxy := chaos.StartProxy(t, server.Addr, 1)
	b := startBout(t, "13", "retries", chainConfig{
		Client: resends{newClient(t, proxy.URL())}, Redis: redisstore.Config{TrustClient: true},
	})
	b.begin(func() { proxy.Lose(0, 6) })
	time.Sleep(5 * time.Second)
	b.end(func() { proxy.Lose(0, 0) })
	b.wantLost(proxy)
	b.finish()
	return b.wantBroken(wants{Ledger: server}, "charged", last)
}

// defaults hides the options of a client.
type defaults struct{ redis.UniversalClient }

// heedsNoTime is a program whose client has its default options.
func heedsNoTime(t *testing.T, last bool) bool {
	server := chaos.StartServer(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	b := startBout(t, "3", "does not heed time", chainConfig{
		Client: defaults{client}, Redis: redisstore.Config{TrustClient: true},
	})
	b.begin(server.Hang)
	time.Sleep(2 * time.Second)
	wantState(t, server, 'T')
	b.end(server.Resume)
	b.finish()
	return b.wantBroken(wants{Slowest: budget, Classes: []string{store.ClassTimeout}}, "slowest", last)
}
