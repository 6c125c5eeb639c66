package redisstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// retrying returns clients with the default of three retries.
func retrying(t *testing.T, address string) map[string]redis.UniversalClient {
	t.Helper()
	clients := map[string]redis.UniversalClient{
		"Client": redis.NewClient(&redis.Options{Addr: address, ContextTimeoutEnabled: true, ReadTimeout: patience}),
		"ClusterClient": redis.NewClusterClient(&redis.ClusterOptions{
			ContextTimeoutEnabled: true, ReadTimeout: patience,
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: address}}}}, nil
			},
		}),
		"Ring": redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": address}, ContextTimeoutEnabled: true, HeartbeatFrequency: time.Hour}),
	}
	for _, c := range clients {
		t.Cleanup(func() { _ = c.Close() })
	}
	return clients
}

// TestAtMostOnce: a decision whose answer was lost is an error and was charged at most
// once, although the client retries. The control, an ordinary script call, is charged more
// than once.
func TestAtMostOnce(t *testing.T) {
	server := startRedis(t)
	p := policy(t, ratelimit.PerHour(1000))
	token, _ := p[0].Cost(1)
	for name := range retrying(t, server.address) {
		t.Run(name, func(t *testing.T) {
			proxy := startProxy(t, server.address)
			client := retrying(t, proxy.address)[name]
			s := newStore(t, client, Config{Prefix: name})
			owes := func(key string) int64 {
				t.Helper()
				proxy.cut.Store(false)
				d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Timeout: patience})
				if err != nil {
					t.Fatal(err)
				}
				return (d.Debts[0].Micros + token.Micros/2) / token.Micros
			}
			if owes("alone") != 0 {
				t.Fatal("a fresh bucket owes something")
			}

			// One by one.
			const alone = 5
			for range alone {
				proxy.cut.Store(true)
				_, err := s.Take(t.Context(), store.Request{Key: "alone", Limits: p, Cost: 1, Timeout: patience})
				if store.ErrorClass(err) != ClassLost {
					t.Errorf("a lost answer is %v; want class lost", err)
				}
			}
			if n := owes("alone"); n != alone || proxy.lost.Load() != alone {
				t.Errorf("%d calls were sent %d times and charged %d times", alone, proxy.lost.Load(), n)
			}

			// In batches, for several keys.
			proxy.lost.Store(0)
			proxy.cut.Store(true)
			const callers, keys = 200, 7
			var wg sync.WaitGroup
			var failed atomic.Int64
			for i := range callers {
				wg.Go(func() {
					key := fmt.Sprintf("together %d", i%keys)
					if _, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: patience}); err != nil {
						failed.Add(1)
						if store.ErrorClass(err) != ClassLost {
							t.Errorf("a lost answer is %v; want class lost", err)
						}
					}
				})
			}
			wg.Wait()
			var charged int64
			for i := range keys {
				charged += owes(fmt.Sprintf("together %d", i))
			}
			if failed.Load() != callers || charged > callers || charged < callers*9/10 {
				t.Errorf("%d calls: %d failed, %d were charged", callers, failed.Load(), charged)
			}
			if n := proxy.lost.Load(); n >= callers {
				t.Errorf("%d script calls for %d decisions: they did not share batches", n, callers)
			}

			// The control.
			proxy.cut.Store(true)
			sha, err := server.admin.ScriptLoad(t.Context(), "return redis.call('INCR', KEYS[1])").Result()
			if err != nil {
				t.Fatal(err)
			}
			key := name + " control"
			if err := client.EvalSha(t.Context(), sha, []string{key}).Err(); err == nil {
				t.Fatal("the control's answer was not lost")
			}
			if n := server.do(t, "get", key); n != "4" {
				t.Errorf("the control was charged %v times; want 4, otherwise this test shows nothing", n)
			}
		})
	}
}

// TestScriptFlush: if Redis loses the script, at any moment, there is no error, and no
// charge without a decision.
func TestScriptFlush(t *testing.T) {
	server := startRedis(t)
	p := policy(t, ratelimit.PerDay(1_000_000))
	token, _ := p[0].Cost(1)
	for name, client := range retrying(t, server.address) {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, client, Config{Prefix: name})
			// After its first call the bucket is never full, so its TAT shows each charge.
			const callers, keys = 32, 5
			var first [keys]int64
			for i := range keys {
				d, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint(i), Limits: p, Cost: 100, Timeout: patience})
				if err != nil {
					t.Fatal(err)
				}
				first[i] = d.Now + d.Debts[0].Micros
			}
			flushing, stop := context.WithCancel(t.Context())
			var flusher sync.WaitGroup
			var flushes atomic.Int64
			flusher.Go(func() {
				for flushing.Err() == nil {
					if server.admin.ScriptFlush(t.Context()).Err() == nil {
						flushes.Add(1)
					}
					time.Sleep(time.Millisecond)
				}
			})
			var admitted [keys]atomic.Int64
			var wg sync.WaitGroup
			var calls atomic.Int64
			start := time.Now()
			for i := range callers {
				wg.Go(func() {
					for j := i; (flushes.Load() < 50 || calls.Load() < 500) && time.Since(start) < 3*patience; j++ {
						d, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint(j % keys), Limits: p, Cost: 1, Timeout: patience})
						if err != nil {
							t.Error(err)
							return
						}
						calls.Add(1)
						if d.Allowed {
							admitted[j%keys].Add(1)
						}
					}
				})
			}
			wg.Wait()
			stop()
			flusher.Wait()
			var total int64
			for i := range keys {
				value := server.text(t, "get", s.names.owner("", fmt.Sprint(i)).bucket(&p[0]))
				var tat int64
				if _, err := fmt.Sscanf(value, "1:%d", &tat); err != nil {
					t.Fatal(err)
				}
				n := admitted[i].Load()
				total += n
				if charged := (tat - first[i]) / token.Micros; charged != n {
					t.Errorf("key %d: %d calls were admitted, %d charged", i, n, charged)
				}
			}
			if flushes.Load() < 50 || total < 500 {
				t.Errorf("%d flushes and %d calls; want at least 50 and 500", flushes.Load(), total)
			}
		})
	}
}

// TestWithoutEvalsha: without the right to EVALSHA the script is sent in full.
func TestWithoutEvalsha(t *testing.T) {
	server := startRedis(t)
	server.do(t, "acl", "setuser", "noevalsha", "on", ">secret", "~keyrate:*", "+eval", "+time", "+get", "+set", "+cluster|slots", "+command")
	p := policy(t, ratelimit.PerHour(100))
	client := redis.NewClient(&redis.Options{Addr: server.address, Username: "noevalsha", Password: "secret", ContextTimeoutEnabled: true, MaxRetries: -1})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": server.address}, Username: "noevalsha", Password: "secret", ContextTimeoutEnabled: true, HeartbeatFrequency: time.Hour})
	for name, client := range map[string]redis.UniversalClient{"Client": client, "Ring": ring} {
		defer client.Close()
		s := newStore(t, client, Config{})
		key := func(i int) string { return fmt.Sprint(name, i%2) }
		if n := admit(t, s, p, patience, key); n != 200 {
			t.Errorf("%s: %d calls were admitted by two bursts of 100", name, n)
		}
		if err := s.Reset(t.Context(), store.Request{Key: name + "0", Limits: p}); err != nil {
			t.Error(err)
		}
		if err := store.Probe(t.Context(), s, "", patience); err != nil {
			t.Error(err)
		}
	}
	if log := fmt.Sprint(server.do(t, "acl", "log")); !strings.Contains(log, "evalsha") {
		t.Errorf("EVALSHA was permitted: %s", log)
	}
}

// TestOneRoundTrip: a decision is one command, and connections are used again.
func TestOneRoundTrip(t *testing.T) {
	server := startRedis(t)
	proxy := startProxy(t, server.address)
	client := redis.NewClient(&redis.Options{Addr: proxy.address, ContextTimeoutEnabled: true, ReadTimeout: patience, PoolSize: 20, MaxActiveConns: 20})
	defer client.Close()
	s := newStore(t, client, Config{})
	p := policy(t, ratelimit.PerHour(1_000_000), ratelimit.PerDay(1_000_000).Named("daily"))
	one := func(ctx context.Context, i int) {
		if _, err := s.Take(ctx, store.Request{Key: fmt.Sprint(i % 100), Limits: p, Cost: 1, Timeout: patience}); err != nil {
			t.Error(err)
		}
	}
	one(t.Context(), 0)
	for i := range 200 {
		one(t.Context(), i)
	}
	if n := server.calls(t, "evalsha"); n != 201 { // one of them NOSCRIPT
		t.Errorf("200 decisions took %d EVALSHA", n-1)
	}
	if n := proxy.conns.Load(); n > 3 {
		t.Errorf("200 decisions, one after the other, made %d connections", n)
	}
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			for j := range 5 {
				one(t.Context(), i+j)
			}
		})
	}
	wg.Wait()
	if n := proxy.highest.Load(); n > 20 {
		t.Errorf("a thousand callers made %d connections at once; the pool has 20", n)
	}
	if n := server.calls(t, "evalsha"); n > 2500 {
		t.Errorf("5000 decisions of a thousand callers took %d script calls", n)
	}
	t.Logf("5200 decisions: %d script calls, %d connections at most", server.calls(t, "evalsha"), proxy.highest.Load())
}

// sent is a hook that records the commands of a client, also those in a pipeline.
type sent struct {
	mu       sync.Mutex
	commands []string
}

func (s *sent) note(commands ...redis.Cmder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range commands {
		s.commands = append(s.commands, c.Name())
	}
}

func (s *sent) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	commands := s.commands
	s.commands = nil
	return commands
}

func (s *sent) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *sent) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		s.note(c)
		return next(ctx, c)
	}
}

func (s *sent) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, c []redis.Cmder) error {
		s.note(c...)
		return next(ctx, c)
	}
}

// TestOneCommandForAllLimits: up to four limits take one command, whether the call is
// admitted, denied by any of them, or has cost 0. None is charged unless all admit.
func TestOneCommandForAllLimits(t *testing.T) {
	server := startRedis(t)
	for name, client := range retrying(t, server.address) {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, client, Config{Prefix: name})
			if err := store.Probe(t.Context(), s, "", patience); err != nil { // and the script is there
				t.Fatal(err)
			}
			var hook sent
			client.AddHook(&hook)
			for n := 1; n <= store.MaxLimits; n++ {
				for tight := range n {
					limits := make([]ratelimit.Limit, n)
					for i := range limits {
						limits[i] = ratelimit.PerDay(2).WithBurst(5).Named(fmt.Sprint("limit ", i))
					}
					limits[tight].Burst = 3
					p := policy(t, limits...)
					key := fmt.Sprintf("%d limits, %d is tight", n, tight)
					for _, call := range []struct {
						cost    int
						allowed bool
						owes    int64 // in tokens, of each limit
					}{{2, true, 2}, {2, false, 2}, {0, true, 2}, {9, false, 2}, {1, true, 3}, {1, false, 3}} {
						d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: call.cost, Timeout: patience})
						if err != nil || d.Allowed != call.allowed {
							t.Fatalf("%s: a cost of %d: %v, %v", key, call.cost, d.Allowed, err)
						}
						if commands := hook.take(); len(commands) != 1 || commands[0] != "evalsha" {
							t.Errorf("%s: a cost of %d took the commands %q, want one evalsha", key, call.cost, commands)
						}
						for i := range n {
							token, _ := p[i].Cost(1)
							if owes := (d.Debts[i].Micros + token.Micros/2) / token.Micros; owes != call.owes {
								t.Errorf("%s: after a cost of %d limit %d owes %d tokens, want %d", key, call.cost, i, owes, call.owes)
							}
						}
					}
				}
			}
		})
	}
}
