package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// splitting is a hook that makes a server behave like one that hides a cluster: a script
// call may only name keys of one hash tag. The error has the words of a hosted service.
type splitting struct {
	words    string
	rejected atomic.Int64 // script calls
	decided  atomic.Int64
}

func (h *splitting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *splitting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if err := h.reject(c); err != nil {
			c.SetErr(err)
			return err
		}
		return next(ctx, c)
	}
}

func (h *splitting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, all []redis.Cmder) error {
		for _, c := range all {
			if err := h.reject(c); err != nil {
				return err
			}
		}
		return next(ctx, all)
	}
}

func (h *splitting) reject(c redis.Cmder) error {
	if !strings.HasPrefix(c.Name(), "eval") {
		return nil
	}
	tags := map[string]bool{}
	n, _ := c.Args()[2].(int)
	for _, key := range c.Args()[3 : 3+n] {
		tag, _, _ := strings.Cut(fmt.Sprint(key), "}")
		tags[tag] = true
	}
	if len(tags) > 1 {
		h.rejected.Add(1)
		return redisError(h.words)
	}
	h.decided.Add(1)
	return nil
}

// TestHiddenSlots: with the error of each service for keys of several slots, the first
// batch that gets it is decided all the same, each call once, and no later batch gets it.
func TestHiddenSlots(t *testing.T) {
	for _, words := range []string{
		"CROSSSLOT Keys in request don't hash to the same slot",
		"CROSSSLOT Keys in request don't hash to the same slot (context='within command', command='evalsha', original-slot='1', wrong-slot='2')",
		"ERR CROSSSLOT Keys in request don't hash to the same slot",
		"ERR 'EVALSHA' command keys must in same slot",
		"ERR Cross-slot queries are not supported for this command",
		"ERR Script attempted to access keys that do not hash to the same slot script: 6c9, on @user_script:1.",
	} {
		t.Run(words, func(t *testing.T) {
			server := miniredis.RunT(t)
			client := patient(t, server.Addr())
			hook := &splitting{words: words}
			client.AddHook(hook)
			s := newStore(t, client, Config{})
			p := policy(t, ratelimit.PerDay(5), ratelimit.PerDay(100).Named("other"))

			var calls []*call
			for i := range 12 {
				r := store.Request{Key: fmt.Sprint(i % 4), Limits: p, Cost: 2, Timeout: patience}
				calls = append(calls, newCall(t.Context(), &s.calls, r, s.names.owner("", r.Key)))
			}
			s.send(t.Context(), calls)
			admitted := map[string]int{}
			for _, c := range calls {
				if c.err != nil {
					t.Fatalf("the first batch: %v", c.err)
				}
				if c.decision.Allowed {
					admitted[c.request.Key]++
				}
			}
			for key, n := range admitted {
				if n != 2 { // of 3: each costs 2 of 5
					t.Errorf("key %s: %d of 3 calls were admitted; want 2", key, n)
				}
				if d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Timeout: patience}); err != nil || d.Debts[1].Micros/(86_400_000_000/100) > 4 {
					t.Errorf("key %s owes %+v, %v; want 4 tokens of 100", key, d.Debts[1], err)
				}
			}
			if len(admitted) != 4 || hook.rejected.Load() != 1 {
				t.Errorf("%d keys were admitted, %d script calls rejected; want 4, 1", len(admitted), hook.rejected.Load())
			}
			if n := hook.decided.Load(); n != 4+4+4 { // a key's calls and limits share one; Redis did not know the script; a look
				t.Errorf("%d script calls; want 12", n)
			}

			if n := admit(t, s, p, patience, func(i int) string { return fmt.Sprint("later ", i%30) }); n != 150 {
				t.Errorf("%d calls were admitted by 30 bursts of 5", n)
			}
			if n := hook.rejected.Load(); n != 1 {
				t.Errorf("%d script calls were rejected; want only the first", n)
			}
			h := checked(t, s)
			if h.Status != store.StatusOK || !slices.ContainsFunc(h.Warnings, namesSlots) {
				t.Errorf("%+v; want ok, and a warning that names it", h)
			}
		})
	}
}

// checked returns the health of a store that is expected to be well, on a machine that may
// be slow.
func checked(t *testing.T, s *Store) (h store.Health) {
	t.Helper()
	s.longest.Store(int64(patience))
	_ = wellWithin(patience, func() error {
		if h = s.Check(t.Context()); h.Status != store.StatusOK {
			return redisError("not yet")
		}
		return nil
	})
	return h
}

func namesSlots(warning string) bool { return strings.Contains(warning, "CROSSSLOT") }

// TestCheckFindsHiddenSlots: Check finds hidden slots before any decision.
func TestCheckFindsHiddenSlots(t *testing.T) {
	server := miniredis.RunT(t)
	client := patient(t, server.Addr())
	hook := &splitting{words: "CROSSSLOT Keys in request don't hash to the same slot"}
	client.AddHook(hook)
	s := newStore(t, client, Config{})
	h := checked(t, s)
	if h.Status != store.StatusOK || !slices.ContainsFunc(h.Warnings, namesSlots) || hook.rejected.Load() != 1 {
		t.Errorf("%+v, %d script calls rejected", h, hook.rejected.Load())
	}
	whole := newStore(t, patient(t, server.Addr()), Config{})
	if h := checked(t, whole); h.Status != store.StatusOK || slices.ContainsFunc(h.Warnings, namesSlots) || whole.slots.split.Load() {
		t.Errorf("a server without slots: %+v", h)
	}
	if keys := server.Keys(); slices.ContainsFunc(keys, func(key string) bool { return !strings.HasSuffix(key, ":keyrate probe") }) { // those have the marker of a Reset
		t.Errorf("the checks left %q", keys)
	}
}

// startCluster starts the nodes of a Cluster, each with the same number of slots.
func startCluster(t *testing.T, n int) []*server {
	t.Helper()
	nodes := make([]*server, n)
	for i := range nodes {
		nodes[i] = startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--cluster-require-full-coverage", "no")
		nodes[i].do(t, addSlots(16384*i/n, 16384*(i+1)/n)...)
		nodes[i].do(t, "cluster", "set-config-epoch", i+1)
	}
	for _, node := range nodes[1:] {
		host, port, _ := strings.Cut(nodes[0].address, ":")
		node.do(t, "cluster", "meet", host, port)
	}
	for _, node := range nodes {
		err := wellWithin(patience, func() error {
			for i := range 20 {
				if err := node.admin.Get(t.Context(), fmt.Sprint(i)).Err(); err != nil && !errors.Is(err, redis.Nil) && !isElsewhere(err) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("a node of a Cluster: %v", err)
		}
	}
	return nodes
}

// addSlots returns the command of Redis 6.2 that gives a node the slots from up to, but
// without, to.
func addSlots(from, to int) []any {
	args := []any{"cluster", "addslots"}
	for slot := from; slot < to; slot++ {
		args = append(args, slot)
	}
	return args
}

// TestOneNodeOfSlots: with 64 callers, each with its own key, on one address with all slots,
// no call fails, each is charged once, and Check warns of the slots.
func TestOneNodeOfSlots(t *testing.T) {
	during := 500 * time.Millisecond
	t.Run("briefly", func(t *testing.T) { oneNodeOfSlots(t, during) })
	t.Run("10 seconds", func(t *testing.T) {
		testkit.Long(t, "puts 64 callers on a Redis for ten seconds")
		oneNodeOfSlots(t, 10*time.Second)
	})
}

func oneNodeOfSlots(t *testing.T, during time.Duration) {
	server := startCluster(t, 1)[0]
	client, err := NewClient("redis://" + server.address + "/0?timeout=10s") // for slow machines
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := newStore(t, client, Config{})
	p := policy(t, ratelimit.PerDay(1_000_000), ratelimit.PerDay(2_000_000).Named("other"))
	token, _ := p[0].Cost(1)
	const callers = 64
	var admitted [callers]int64
	var failed atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(during)
	for i := range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				d, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint("key ", i), Limits: p, Cost: 1, Timeout: patience})
				if err != nil {
					if failed.Add(1) == 1 {
						t.Error(err)
					}
				} else if d.Allowed {
					admitted[i]++
				}
			}
		})
	}
	wg.Wait()
	var total int64
	for i := range admitted {
		total += admitted[i]
		d, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint("key ", i), Limits: p, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		owes := (d.Debts[0].Micros + int64(during/time.Microsecond) + 10_000_000) / token.Micros
		if least := d.Debts[0].Micros / token.Micros; admitted[i] < least || admitted[i] > owes+1 {
			t.Errorf("key %d: %d calls were admitted, %d to %d charged", i, admitted[i], least, owes)
		}
	}
	if failed.Load() > 0 || total < 10*callers || !s.slots.split.Load() {
		t.Errorf("%d calls failed, %d were admitted, slots seen: %v", failed.Load(), total, s.slots.split.Load())
	}
	h := checked(t, s)
	if h.Status != store.StatusOK || len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "CROSSSLOT") {
		t.Errorf("%+v; want ok, and one warning of the slots", h)
	}
	t.Logf("%d calls in %v, %d failed", total, during, failed.Load())
}

// TestClusterThroughPlainClient: if a client knows one of two nodes, the first error, Check
// and a mirror say what to change, and the mirror decides locally.
func TestClusterThroughPlainClient(t *testing.T) {
	nodes := startCluster(t, 2)
	url := "redis://" + nodes[0].address + "/0?timeout=10s"
	open := func(url string) *Store {
		t.Helper()
		client, err := NewClient(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return newStore(t, client, Config{})
	}
	p := policy(t, ratelimit.PerHour(1_000_000))
	take := func(s store.Store, key string) (store.Decision, error) {
		return s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: patience})
	}
	explained := func(err error) bool {
		return store.ErrorClass(err) == ClassCluster && strings.Contains(err.Error(), "add cluster=true") && strings.Contains(err.Error(), "redis.ClusterClient")
	}

	t.Run("decisions", func(t *testing.T) {
		s := open(url)
		var first error
		for i := 0; first == nil && i < 1000; i++ {
			_, first = take(s, fmt.Sprint(i))
		}
		if !explained(first) {
			t.Errorf("the first error is %v; want it to say what to change", first)
		}
		for i := range 50 { // of either node: all fail or none
			if _, err := take(s, fmt.Sprint(i)); !explained(err) {
				t.Errorf("key %d: %v", i, err)
			}
		}
	})
	t.Run("batch", func(t *testing.T) {
		s := open(url)
		var wg sync.WaitGroup
		var failed atomic.Int64
		for i := range 64 {
			wg.Go(func() {
				if _, err := take(s, fmt.Sprint(i)); err != nil {
					failed.Add(1)
					if !explained(err) {
						t.Errorf("%v; want it to say what to change", err)
					}
				}
			})
		}
		wg.Wait()
		if failed.Load() == 0 {
			t.Error("no call failed, of 64 keys on two nodes")
		}
	})
	t.Run("Reset", func(t *testing.T) {
		s := open(url)
		var err error
		for i := 0; err == nil && i < 1000; i++ {
			err = s.Reset(t.Context(), store.Request{Key: fmt.Sprint(i), Limits: p})
		}
		if !explained(err) {
			t.Errorf("%v; want it to say what to change", err)
		}
	})
	t.Run("Check", func(t *testing.T) {
		s := open(url)
		s.longest.Store(int64(patience))
		for range 3 {
			h := s.Check(t.Context())
			if h.Status != store.StatusFailed || h.Parts[0].Class != ClassCluster || len(h.Warnings) == 0 || !strings.Contains(h.Warnings[0], "add cluster=true") {
				t.Errorf("%+v; want it to fail and to say what to change", h)
			}
		}
	})
	t.Run("mirror", func(t *testing.T) {
		var changes atomic.Int64
		m, err := mirror.New(open(url), mirror.Config{OnChange: func(mirror.Change) { changes.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		end := time.Now().Add(time.Second)
		for i := 0; time.Now().Before(end); i++ {
			if _, err := take(m, fmt.Sprint(i%100)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if n := changes.Load(); n != 1 {
			t.Errorf("the mirror changed sides %d times; want once, to decide locally", n)
		}
		if h := m.Check(t.Context()); h.Decides != mirror.PartLocal || !slices.ContainsFunc(h.Warnings, func(w string) bool { return strings.Contains(w, "add cluster=true") }) {
			t.Errorf("%+v; want it to say what to change", h)
		}
	})
	t.Run("cluster=true", func(t *testing.T) {
		s := open(url + "&cluster=true")
		for i := range 50 {
			if _, err := take(s, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if h := checked(t, s); h.Status != store.StatusOK || len(h.Parts) != 2 || len(h.Warnings) != 0 {
			t.Errorf("%+v", h)
		}
	})
	t.Run("one node gets all slots", func(t *testing.T) { // must be the last: it changes the nodes
		s := open(url)
		s.longest.Store(int64(patience))
		if h := s.Check(t.Context()); h.Status != store.StatusFailed {
			t.Fatalf("%+v", h)
		}
		id := nodes[0].text(t, "cluster", "myid")
		nodes[0].do(t, "cluster", "bumpepoch")
		for _, node := range nodes {
			node.do(t, "flushall")
		}
		for _, node := range slices.Backward(nodes) { // a node without slots may become a replica
			pipe := node.admin.Pipeline()
			for slot := 8192; slot < 16384; slot++ {
				pipe.Do(t.Context(), "cluster", "setslot", slot, "node", id)
				if slot%512 < 511 {
					continue
				}
				if _, err := pipe.Exec(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		err := wellWithin(patience, func() error {
			_, err := take(s, "any")
			return err
		})
		if h := checked(t, s); err != nil || h.Status != store.StatusOK {
			t.Errorf("%v, %+v; want it to be well again", err, h)
		}
	})
}

// TestPlainServerThroughClusterClient: the reverse mistake is explained, too.
func TestPlainServerThroughClusterClient(t *testing.T) {
	server := startRedis(t)
	client, err := NewClient("redis://" + server.address + "?cluster=true&timeout=10s")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := newStore(t, client, Config{})
	_, err = s.Take(t.Context(), store.Request{Key: "k", Limits: policy(t, ratelimit.PerHour(1)), Cost: 1, Timeout: patience})
	if store.ErrorClass(err) != ClassCluster || !strings.Contains(err.Error(), "remove cluster=true") {
		t.Errorf("%v; want it to say what to change", err)
	}
	h := s.Check(t.Context())
	if h.Status != store.StatusFailed || h.Parts[0].Class != ClassCluster || len(h.Warnings) != 1 || !strings.Contains(h.Warnings[0], "remove cluster=true") {
		t.Errorf("%+v; want it to say what to change", h)
	}
}
