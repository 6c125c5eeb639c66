package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// upgradeLimits are the limits of one key each. A token of some takes whole microseconds, of
// others a fraction. Bursts of three seconds make up for a machine that stalls.
var upgradeLimits = [][]ratelimit.Limit{
	{ratelimit.PerSecond(20).WithBurst(60)},
	{{Rate: 7, Period: time.Second, Burst: 20}},
	{{Rate: 17, Period: 123457 * time.Microsecond, Burst: 400}},
	{{Rate: 1, Period: 370 * time.Millisecond, Burst: 9}},
	{{Rate: 3, Period: 100_003 * time.Microsecond, Burst: 90}},
	{ratelimit.PerSecond(50).WithBurst(150), ratelimit.Limit{Rate: 900, Period: 22 * time.Second, Burst: 200}.Named("b")},
	{{Rate: 11, Period: time.Second, Burst: 33}, ratelimit.Limit{Rate: 95, Period: 7 * time.Second, Burst: 50}.Named("b"), ratelimit.PerSecond(12).WithBurst(36).Named("c"), ratelimit.PerMinute(6000).Named("d")},
}

// TestUpgrade: nodes of version 8386024 and of this one share a Redis. No value is foreign
// to either, and together they admit what one would: batches, several limits, fractions, and
// knowledge from the answers of both.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	const callers = 64
	seed := seedOf(t)
	server := chaos.StartServer(t)
	var nodes []store.Store
	for i := range 4 {
		if i%2 == 0 {
			nodes = append(nodes, formerNode{patientClient(t, server)})
			continue
		}
		nodes = append(nodes, newStore(t, patientClient(t, server), redisstore.Config{
			OnForeign: func(n int) { t.Errorf("this version counts %d foreign values", n) },
		}))
	}
	buckets := make([]*upgraded, len(upgradeLimits))
	for i, limits := range upgradeLimits {
		buckets[i] = &upgraded{key: fmt.Sprint("key ", i), limits: policyOf(t, limits...)}
		for _, l := range limits {
			buckets[i].windows = append(buckets[i].windows, newWindows(l))
		}
	}
	var failed atomic.Bool
	var last, answers atomic.Int64
	ends := time.Now().Add(full(20*time.Second, 10*time.Minute))
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(caller)))
			version, backend := caller%2, nodes[caller%len(nodes)]
			for !failed.Load() && time.Now().Before(ends) {
				time.Sleep(10*time.Millisecond - time.Duration(time.Now().UnixNano()%int64(10*time.Millisecond))) // with the others, for batches
				var of []*upgraded
				var requests []store.Request
				sent := time.Now()
				for range 1 + (1-version)*random.IntN(3) {
					b := buckets[random.IntN(len(buckets))]
					of, requests = append(of, b), append(requests, b.request(version, random.IntN(4), random.IntN(3) == 0))
				}
				decisions, err := takeTogether(t, backend, requests)
				if err != nil {
					failed.Store(true)
					t.Error(err)
					return
				}
				for i, d := range decisions {
					of[i].answered(version, sent, requests[i].Cost, d)
					for seen := last.Load(); d.Now > seen && !last.CompareAndSwap(seen, d.Now); seen = last.Load() {
					}
				}
				answers.Add(int64(len(decisions)))
			}
		})
	}
	all.Wait()
	knew := 0
	for i, b := range buckets {
		ideal := 0
		for j, w := range b.windows {
			w.check(t, fmt.Sprintf("key %d, limit %d", i, j))
			if n := w.ideal(last.Load()); j == 0 || n < ideal {
				ideal = n
			}
		}
		n := b.windows[0].tokens()
		knew += b.knew
		t.Logf("key %d under %v: %d tokens offered, %d admitted (%d by version 8386024, %d by this one), %d is ideal", i, b.limits, b.offered, n, b.by[0], b.by[1], ideal)
		if n*100 < ideal*95 || n > ideal || b.offered < 2*ideal || b.by[0]*10 < n || b.by[1]*10 < n {
			t.Errorf("key %d: %d tokens were offered and %d admitted, %v by each version; want at least 95%% of %d by both, and twice as many offered", i, b.offered, n, b.by, ideal)
		}
	}
	calls := server.Calls("evalsha")
	t.Logf("%d answers, %d with knowledge, in %d script calls", answers.Load(), knew, calls)
	if knew < 1000 || int64(calls) > answers.Load()*9/10 {
		t.Error("too little knowledge, or too few batches, for a proof")
	}
}

// An upgraded key is one that nodes of both versions call for.
type upgraded struct {
	sync.Mutex
	key     string
	limits  []store.Limit
	windows []*windows         // by limit
	known   [2]store.Knowledge // what each version knows, from its last answer
	sent    [2]time.Time       // of the call with this answer
	by      [2]int             // the admitted tokens, by version
	offered int
	knew    int
}

// request returns a call of a version, with or without what it knows.
func (b *upgraded) request(version, cost int, know bool) store.Request {
	b.Lock()
	defer b.Unlock()
	r := store.Request{Key: b.key, Limits: b.limits, Cost: cost, Timeout: patience}
	b.offered += cost
	if know && !b.sent[version].IsZero() {
		known := b.known[version]
		for i := range b.limits { // what is left of the debt
			known[i].Debt.Micros = max(0, known[i].Debt.Micros-time.Since(b.sent[version]).Microseconds()-1)
		}
		r.Known = &known
		b.knew++
	}
	return r
}

// answered records the answer to a call of a version.
func (b *upgraded) answered(version int, sent time.Time, cost int, d store.Decision) {
	b.Lock()
	defer b.Unlock()
	b.sent[version] = sent
	for i := range b.limits {
		b.known[version][i] = store.Known{Debt: d.Debts[i], TAT: b.limits[i].TATAt(d.Debts[i], d.Now), Seen: d.Now}
		if d.Allowed && cost > 0 {
			b.windows[i].add(d.Now, cost)
		}
	}
	if d.Allowed {
		b.by[version] += cost
	}
}

// takeTogether sends requests in one batch if the store is a formerNode. For any other store
// there may be one request.
func takeTogether(t *testing.T, backend store.Store, requests []store.Request) ([]store.Decision, error) {
	if former, ok := backend.(formerNode); ok {
		return former.takeAll(t.Context(), requests)
	}
	d, err := backend.Take(t.Context(), requests[0])
	return []store.Decision{d}, err
}

// TestFormerValues: this version reads each form of value as version 8386024, which wrote it,
// does.
func TestFormerValues(t *testing.T) {
	third := ratelimit.Limit{Rate: 3, Period: time.Second, Burst: 10}
	whole := ratelimit.PerSecond(4).WithBurst(10)
	for _, test := range []struct {
		name  string
		limit ratelimit.Limit // of the value
		write func(t *testing.T, n formerNode, c *chaos.Clock, r store.Request)
		value string // START is the time of the first call
		as    ratelimit.Limit
		want  gcra.Debt
	}{
		{"whole microseconds", whole, takes(3), "1:START+750000", whole, gcra.Debt{Micros: 750_000}},
		{"whole microseconds, a second later", whole, takes(6, time.Second), "1:START+1500000", whole, gcra.Debt{Micros: 500_000}},
		{"a fraction", third, takes(1), "1:START+333333:1:3:0:0", third, gcra.Debt{Micros: 333_333, Frac: 1}},
		{"two thirds", third, takes(2), "1:START+666666:2:3:0:0", third, gcra.Debt{Micros: 666_666, Frac: 2}},
		{"a fraction that adds up", third, takes(3), "1:START+1000000", third, gcra.Debt{Micros: 1_000_000}},
		{"a reset", third, resets(), "1:START:0:1:START:3333334", third, gcra.Debt{}},
		{"a call after a reset", third, resets(1), "1:START+333333:1:3:START:3333334", third, gcra.Debt{Micros: 333_333, Frac: 1}},
		{"calls in whole microseconds after a reset", third, resets(3), "1:START+1000000:0:1:START:3333334", third, gcra.Debt{Micros: 1_000_000}},
		{"a call when the reset is over", third, resets(4*time.Second, 1), "1:START+4333333:1:3:0:0", third, gcra.Debt{Micros: 333_333, Frac: 1}},
		{"a fraction, read by whole microseconds", third, takes(1), "1:START+333333:1:3:0:0", whole, gcra.Debt{Micros: 333_334}},
		{"whole microseconds, read by thirds", whole, takes(3), "1:START+750000", third, gcra.Debt{Micros: 750_000}},
		{"above the capacity", whole, takes(10), "1:START+2500000", ratelimit.PerSecond(4).WithBurst(2), gcra.Debt{Micros: 500_000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := chaos.StartServer(t)
			clock := chaos.NewClock(t, "../redisstore/usual.lua+../redisstore/bucket.lua+../redisstore/take.lua", "testdata/8386024/take.lua", "testdata/8386024/reset.lua")
			client := patientClient(t, server)
			clock.Steer(client)
			old := formerNode{client}
			s := newStore(t, client, redisstore.Config{OnForeign: func(int) { t.Error("the value is foreign") }})
			r := store.Request{Key: t.Name(), Limits: policyOf(t, test.limit), Timeout: patience}
			start := clock.Now()
			test.write(t, old, clock, r)
			value, _ := server.Do("GET", formerName(r.Key, &r.Limits[0])).(string)
			if want := writtenAt(test.value, start); value != want {
				t.Fatalf("version 8386024 wrote %q; want %q", value, want)
			}
			r.Limits = policyOf(t, test.as)
			theirs, err := old.Take(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got := take(t, s, r.Key, r.Limits, 0); got.Debts[0] != test.want || theirs.Debts[0] != test.want {
				t.Errorf("%q is a debt of %v, and for version 8386024 of %v; want %v", value, got.Debts[0], theirs.Debts[0], test.want)
			}
			// Debts that were observed before the reset do not count, as long as it lasts.
			known := store.Knowledge{{Debt: gcra.Debt{Micros: 1_500_000}, TAT: gcra.TAT{Micros: start + 9_000_000, Den: 1}, Seen: start}}
			r.Known = &known
			theirs, err = old.Take(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Take(t.Context(), r)
			if err != nil || got.Debts != theirs.Debts {
				t.Errorf("%q and knowledge from the start are a debt of %v, %v; for version 8386024 it is %v", value, got.Debts[0], err, theirs.Debts[0])
			}
		})
	}
}

// TestFormerValuesEnd is the control, and what docs/redis.md warns of: these values of this
// version are foreign to version 8386024, which then fills the bucket.
func TestFormerValuesEnd(t *testing.T) {
	server := chaos.StartServer(t)
	client := patientClient(t, server)
	old, s := formerNode{client}, newStore(t, client, redisstore.Config{})
	five, ten := policyOf(t, ratelimit.PerMinute(5)), policyOf(t, ratelimit.PerMinute(10))
	for name, write := range map[string]func(key string){
		"a hold": func(key string) {
			r := store.Request{Key: key, Limits: five, Cost: 1, Hold: new(store.Hold), Timeout: patience}
			if d, err := s.Take(t.Context(), r); err != nil || !d.Allowed {
				t.Error(d, err)
			}
		},
		"a limit that changes": func(key string) {
			take(t, s, key, five, 1)
			take(t, s, key, ten, 1)
		},
		"a reset": func(key string) {
			if err := s.Reset(t.Context(), store.Request{Key: key, Limits: five}); err != nil {
				t.Error(err)
			}
			take(t, s, key, five, 1)
		},
		"a charge above the burst": func(key string) {
			all := []store.Settlement{{Key: key, Limits: five, Actual: 7}}
			if s.Settle(t.Context(), all); all[0].Err != nil {
				t.Error(all[0].Err)
			}
		},
	} {
		write(name)
		if d, err := old.Take(t.Context(), store.Request{Key: name, Limits: five, Cost: 1}); err == nil {
			t.Errorf("%s: version 8386024 answered %+v; want a foreign value", name, d)
		}
		if d := take(t, s, name, five, 0); d.Debts[0].Micros > 12_000_000 {
			t.Errorf("%s: a debt of %v after a call of version 8386024; want that of one token", name, d.Debts[0])
		}
	}
}

// takes makes calls: an int is the cost of one, a Duration passes.
func takes(steps ...any) func(*testing.T, formerNode, *chaos.Clock, store.Request) {
	return func(t *testing.T, n formerNode, c *chaos.Clock, r store.Request) {
		t.Helper()
		for _, step := range steps {
			switch step := step.(type) {
			case time.Duration:
				c.Advance(step)
			case int:
				r.Cost = step
				if d, err := n.Take(t.Context(), r); err != nil || !d.Allowed {
					t.Fatalf("a call of cost %d: %+v, %v", step, d, err)
				}
			}
		}
	}
}

// resets is takes after a reset.
func resets(steps ...any) func(*testing.T, formerNode, *chaos.Clock, store.Request) {
	return func(t *testing.T, n formerNode, c *chaos.Clock, r store.Request) {
		t.Helper()
		if err := n.Reset(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		takes(steps...)(t, n, c, r)
	}
}

// writtenAt replaces START and START+n in the text of a value by the time start.
func writtenAt(value string, start int64) string {
	fields := strings.Split(value, ":")
	for i, f := range fields {
		if after, found := strings.CutPrefix(f, "START"); found {
			n, _ := strconv.ParseInt(after, 10, 64)
			fields[i] = strconv.FormatInt(start+n, 10)
		}
	}
	return strings.Join(fields, ":")
}
