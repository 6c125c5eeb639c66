package redisstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// A bench is a Redis, emulated or real, whose clock a test sets.
type bench struct {
	client *redis.Client
	set    func(t testing.TB, at time.Time)
}

// benches returns both kinds.
func benches() map[string]func(t *testing.T) bench {
	return map[string]func(t *testing.T) bench{
		"miniredis": func(t *testing.T) bench {
			server := miniredis.RunT(t)
			return bench{patient(t, server.Addr()), func(_ testing.TB, at time.Time) { server.SetTime(at) }}
		},
		"redis": func(t *testing.T) bench {
			server := startSteered(t)
			return bench{patient(t, server.address), server.setClock}
		},
	}
}

// A ledger is a model of the script, on the arithmetic of package gcra.
type ledger map[string]*entry

type entry struct {
	gcra.Bucket
	reset, life int64
}

func (l ledger) entry(name string) *entry {
	if l[name] == nil {
		l[name] = new(entry)
	}
	return l[name]
}

// open returns a copy of an entry as it is now.
func (l ledger) open(now int64, name string, b *store.Limit) (e entry, spent gcra.Debt, stale, same bool) {
	e = *l.entry(name)
	if e.reset = min(e.reset, now); now >= e.reset+e.life {
		e.reset, e.life = 0, 0
	}
	spent, stale, same = e.Open(&b.Rate, now)
	return e, spent, stale, same
}

func (l ledger) take(now int64, o owner, r store.Request, mode int, hold *store.Hold) store.Decision {
	d := store.Decision{Now: now}
	names := &hold.Names
	var opened [store.MaxLimits]entry
	var stale [store.MaxLimits]bool
	free, granted := true, r.Cost
	for i := range r.Limits {
		b := &r.Limits[i]
		var same bool
		opened[i], d.Debts[i], stale[i], same = l.open(now, o.bucket(b), b)
		e := &opened[i]
		if b.Loan() {
			free = free && (r.Cost <= 0 || e.Held() < b.Burst())
			continue
		}
		if r.Known != nil && same {
			if seen := r.Known[i].Seen; seen == 0 || seen > e.reset {
				d.Debts[i] = b.Merge(d.Debts[i], r.Known[i].Debt, r.Known[i].TAT, now)
			}
		}
		granted = min(granted, max(e.Room(&b.Rate, d.Debts[i]), 0))
	}
	least := r.Cost
	if r.Least > 0 {
		least = r.Least
	}
	if d.Allowed = free && r.Cost >= 0 && granted >= least; d.Allowed && r.Least > 0 {
		d.Granted = granted
	}
	if d.Allowed && mode == modeLease {
		hold.Leased = r.Hold.Lease
		for i := range r.Limits {
			hold.Leased = min(hold.Leased, opened[i].Leasable(&r.Limits[i].Rate, d.Debts[i], granted))
		}
	}
	for i := range r.Limits {
		b, e := &r.Limits[i], &opened[i]
		switch {
		case d.Allowed && granted+hold.Leased > 0:
			e.Spend(&b.Rate, d.Debts[i], now)
			if b.Loan() || mode == modeHold {
				names[i] = e.Hold(b.Tokens(granted), now)
			} else {
				cost, _ := b.Cost(granted)
				d.Debts[i] = b.Add(d.Debts[i], cost)
				e.Spend(&b.Rate, d.Debts[i], now)
				if hold.Leased > 0 {
					names[i] = e.Bucket.Hold(hold.Leased, now)
				}
			}
		case stale[i]:
			e.Spend(&b.Rate, d.Debts[i], now)
		default:
			d.Held[i] = e.Held()
			continue
		}
		d.Held[i] = e.Held()
		*l.entry(o.bucket(b)) = *e
	}
	return d
}

// settle settles t, and sets the names of what it renews.
func (l ledger) settle(now int64, o owner, t *store.Settlement) {
	for i := range t.Limits {
		b := &t.Limits[i]
		e, spent, _, _ := l.open(now, o.bucket(b), b)
		held, actual, lost := t.Held, int(number(t.Actual)), 0
		if b.Loan() {
			held, actual = 1, 0
		}
		switch {
		case t.Renew && t.Names[i] != 0:
			t.Names[i] = e.Renew(t.Names[i], held, now)
		case t.Renew:
		case t.Names[i] != 0:
			spent, lost = e.Settle(&b.Rate, spent, t.Names[i], held, actual, e.reset, now)
		case actual > 0:
			spent, lost = e.Charge(&b.Rate, spent, actual, now)
		}
		t.Debts[i], t.Lost = spent, max(t.Lost, lost)
		*l.entry(o.bucket(b)) = e
	}
}

// TestScriptIsRate: the script computes the same integers as package gcra, over
// random histories sent in batches: extreme limits and limits that change, several limits
// at once, costs and knowledge of all kinds, the same key and the same limit several times
// in one batch, and values planted in Redis.
func TestScriptIsRate(t *testing.T) {
	for name, open := range benches() {
		t.Run(name, func(t *testing.T) {
			redis := open(t)
			seed, err := storetest.Seed()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("KEYRATE_SEED=%#x", seed)
			s := newStore(t, redis.client, Config{})
			seen := map[string]int{}
			for i := range uint64(testkit.Count(50, 150)) {
				src := rand.NewPCG(seed, i)
				h := storetest.NewHistory(src, storetest.HistoryConfig{Prefix: fmt.Sprintf("%d/", i), Span: 50 * 365 * 24 * 3600 * 1e6, Holds: i%2 == 1, Homes: i%4 >= 2})
				if err := compareBatches(t, redis, s, h, rand.New(src), seen); err != nil {
					t.Fatalf("KEYRATE_SEED=%#x, history %d: %v", seed, i, err)
				}
			}
			t.Log(seen)
			for _, what := range []string{"allowed", "denied", "known", "planted", "several of a key in a batch", "reset", "clamped", "several limits", "denied by some of them", "held", "leased", "settled", "settled with a call"} {
				if seen[what] < testkit.Count(5, 20) {
					t.Errorf("%q occurred %d times; want it often", what, seen[what])
				}
			}
		})
	}
}

func compareBatches(t *testing.T, redis bench, s *Store, h *storetest.History, random *rand.Rand, seen map[string]int) error {
	now := epoch
	book := ledger{}
	names := map[int][store.MaxLimits]int64{} // by the number of the hold
	settled := func(c *call, want *store.Settlement, hold int, o owner) error {
		if book.settle(now.UnixMicro(), o, want); c.decision.Debts != want.Debts || c.lost != want.Lost || want.Renew && c.names != want.Names {
			return fmt.Errorf("debts %v, lost %d, names %v; want %+v", c.decision.Debts, c.lost, c.names, *want)
		}
		if names[hold] = want.Names; hold == 0 {
			delete(names, 0)
		}
		return nil
	}
	for range 12 {
		var calls []*call
		var steps []storetest.Step
		var owners []owner
		keys := map[string]int{}
		for range 1 + random.IntN(12) {
			step := h.Next()
			if len(steps) == 0 {
				now = now.Add(step.Wait)
				redis.set(t, now)
			}
			o := s.names.owner(step.Request.Home, step.Request.Key)
			tag := o.slot()
			if step.Reset && len(steps) == 0 {
				seen["reset"]++
				if err := s.Reset(t.Context(), store.Request{Home: step.Request.Home, Key: step.Request.Key, Limits: step.Request.Limits}); err != nil {
					return err
				}
				for i := range len(step.Request.Limits) {
					b := &step.Request.Limits[i]
					*book.entry(o.bucket(b)) = entry{reset: now.UnixMicro(), life: max(b.Capacity().Duration().Microseconds(), 20_000_000)}
				}
				continue
			}
			if step.Reset && step.Request.Limits[0].Loan() {
				step.Request.Cost = 0 // a reset cannot be in a batch, and the rest of it has no Hold
			}
			if len(steps) == 0 && random.IntN(4) == 0 {
				seen["planted"]++
				plant(t, redis, book, o.bucket(&step.Request.Limits[0]), now.UnixMicro(), random)
			}
			if step.Request.Known != nil {
				seen["known"]++
			}
			if keys[tag]++; keys[tag] == 2 {
				seen["several of a key in a batch"]++
			}
			steps, owners = append(steps, step), append(owners, o)
			if step.Settle != nil {
				step.Settle.Names = names[step.Hold]
				calls = append(calls, s.settling(t.Context(), step.Settle))
				continue
			}
			for i, hold := range step.Releases {
				step.Request.Release[i].Names = names[hold]
			}
			c := newCall(t.Context(), &s.calls, step.Request, o)
			s.release(t.Context(), &step.Request, c)
			calls = append(calls, c)
		}
		if len(calls) == 0 {
			continue
		}
		s.send(t.Context(), calls)
		for i, c := range calls {
			if c.err != nil {
				return c.err
			}
			if want := steps[i].Settle; want != nil {
				seen["settled"]++
				if err := settled(c, want, steps[i].Hold, owners[i]); err != nil {
					return fmt.Errorf("place %d of %d in a batch: %v: %w", i, len(calls), steps[i], err)
				}
				want.Now = now.UnixMicro()
				h.Settled(steps[i], *want)
				continue
			}
			for j, hold := range steps[i].Releases {
				seen["settled with a call"]++
				if err := settled(c.releases[j], &steps[i].Request.Release[j], hold, owners[i]); err != nil {
					return fmt.Errorf("place %d of %d in a batch, settlement %d of: %v: %w", i, len(calls), j, steps[i], err)
				}
			}
			var made store.Hold
			want := book.take(now.UnixMicro(), owners[i], steps[i].Request, c.mode, &made)
			if want.Allowed && made.Names != c.names || made.Leased != c.leased {
				return fmt.Errorf("place %d of %d in a batch: %v: leased %d, names %v; want %d, %v", i, len(calls), steps[i], c.leased, c.names, made.Leased, made.Names)
			}
			if made.Leased > 0 {
				seen["leased"]++
				steps[i].Request.Hold.Leased = made.Leased
			}
			if steps[i].Holds(want) {
				seen["held"]++
				names[steps[i].Hold] = made.Names
			}
			if err := storetest.Compare(steps[i].Request.Limits, c.decision, want); err != nil {
				return fmt.Errorf("place %d of %d in a batch: %v: %w", i, len(calls), steps[i], err)
			}
			h.Saw(steps[i], c.decision)
			seen[map[bool]string{true: "allowed", false: "denied"}[want.Allowed]]++
			if len(steps[i].Request.Limits) > 1 {
				seen["several limits"]++
			}
			if steps[i].DeniedInPart(want) {
				seen["denied by some of them"]++
			}
			if want.Debts[0] == steps[i].Request.Limits[0].Capacity() {
				seen["clamped"]++ // or exactly empty
			}
		}
	}
	return nil
}

// plant writes a valid value of a random limit into Redis.
func plant(t *testing.T, redis bench, book ledger, name string, now int64, random *rand.Rand) {
	t.Helper()
	den := 1 + random.Int64N(1<<31)>>random.IntN(31)
	e := entry{Bucket: gcra.Bucket{TAT: gcra.TAT{
		Micros: max(0, now+random.Int64N(1<<50)>>random.IntN(50)-random.Int64N(1<<40)>>random.IntN(40)),
		Frac:   uint32(random.Int64N(den)),
		Den:    uint32(den),
	}}}
	if random.IntN(2) == 0 {
		e.reset = max(16, now+random.Int64N(1<<40)>>random.IntN(40)-random.Int64N(1<<40)>>random.IntN(40))
		e.life = random.Int64N(1<<48) >> random.IntN(48)
	}
	marker, life := e.reset, e.life
	if e.reset == 0 && random.IntN(2) == 0 { // of a known interval
		e.TAT.Num = uint64(1 + random.Int64N(1<<48)>>random.IntN(48))
		life = int64(e.TAT.Num)
	}
	value := fmt.Sprintf("1:%d:%d:%d:%d:%d", e.TAT.Micros, e.TAT.Frac, e.TAT.Den, marker, life)
	if e.TAT.Frac == 0 && e.TAT.Num == 0 && e.reset == 0 && random.IntN(2) == 0 {
		value = fmt.Sprintf("1:%d", e.TAT.Micros)
	}
	if err := redis.client.Set(t.Context(), name, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	*book.entry(name) = e
}

// TestLife: a value expires in the millisecond in which its bucket is full or, with a
// marker, when the marker ends if that is later. A full bucket leaves no value.
func TestLife(t *testing.T) {
	server := startSteered(t)
	s := newStore(t, patient(t, server.address), Config{})
	now := epoch.Add(123_456 * time.Microsecond)
	at := func(d time.Duration) {
		now = now.Add(d)
		server.setClock(t, now)
	}
	at(0)
	life := func(key string, p []store.Limit) time.Duration {
		t.Helper()
		return time.Duration(server.number(t, "pttl", s.names.owner("", key).bucket(&p[0]))) * time.Millisecond
	}
	take := func(key string, p []store.Limit, cost int) store.Decision {
		t.Helper()
		d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, l := range []ratelimit.Limit{
		ratelimit.PerSecond(5), ratelimit.PerSecond(3), {Rate: 5, Period: 500 * time.Millisecond}, {Rate: 1, Period: 1900 * time.Millisecond},
		{Rate: 100, Period: time.Second, Burst: 10}, {Rate: 700_001, Period: time.Second}, {Rate: min(gcra.MaxRate, math.MaxInt), Period: time.Microsecond, Burst: 1},
		{Rate: 10, Period: time.Second, Burst: 1000}, {Rate: 1, Period: gcra.MaxRefill},
	} {
		p, key := policy(t, l), "life "+l.String()
		for cost := 1; cost <= p[0].Burst(); cost *= 10 {
			d := take(key, p, cost)
			if !d.Allowed {
				break
			}
			want := d.Debts[0].Duration().Round(time.Microsecond)
			if got := life(key, p); got < want || got >= want+time.Millisecond {
				t.Errorf("%v: a debt of %v lives for %v", l, want, got)
			}
		}
		d := take(key, p, 0)
		debt := d.Debts[0].Duration()
		at(debt - time.Microsecond)
		if debt > time.Microsecond && take(key, p, 0).Debts[0] == (gcra.Debt{}) {
			t.Errorf("%v: a debt of %v is gone too early", l, debt)
		}
		at(2*time.Millisecond + time.Microsecond)
		if n := server.do(t, "exists", s.names.owner("", key).bucket(&p[0])); n != int64(0) {
			t.Errorf("%v: a full bucket is still there", l)
		}
	}

	// A marker survives decisions.
	p := policy(t, ratelimit.PerSecond(10))
	if err := s.Reset(t.Context(), store.Request{Key: "reset", Limits: p}); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if got, want := life("reset", p), markerRest(server, t, s, p); got != want {
			t.Errorf("with a marker the value lives for %v; want %v", got, want)
		}
		take("reset", p, 1)
		at(100 * time.Millisecond)
	}
	at(18 * time.Second)
	take("reset", p, 10)
	at(900 * time.Millisecond)
	take("reset", p, 9)
	if got := life("reset", p); got != time.Second {
		t.Errorf("a debt beyond the marker lives for %v; want 1s", got)
	}
	at(1001 * time.Millisecond)
	if left := server.list(t, "keys", "*"); len(left) != 0 {
		t.Errorf("values are left: %v", left)
	}
}

// markerRest returns how long the marker of the key "reset" still counts.
func markerRest(server *server, t *testing.T, s *Store, p []store.Limit) time.Duration {
	t.Helper()
	value := server.text(t, "get", s.names.owner("", "reset").bucket(&p[0]))
	fields := strings.Split(value, ":")
	at := map[string]int{"1": 4, "2": 10}[fields[0]]
	reset, resetErr := strconv.ParseInt(fields[at], 10, 64)
	life, lifeErr := strconv.ParseInt(fields[at+1], 10, 64)
	if resetErr != nil || lifeErr != nil || reset < 16 {
		t.Fatalf("the value is %q; want a marker", value)
	}
	now, err := server.admin.Time(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(reset+life-now.UnixMicro()) * time.Microsecond
}

// TestNothingWritten: a denial, a cost of 0 and a cost above the burst write nothing.
func TestNothingWritten(t *testing.T) {
	server := startRedis(t)
	s := newStore(t, patient(t, server.address), Config{})
	p := policy(t, ratelimit.PerHour(1), ratelimit.PerDay(10).Named("daily"))
	take := func(key string, cost int) bool {
		t.Helper()
		d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed
	}
	if take("a", 1); server.calls(t, "set") != 2 {
		t.Fatalf("an admitted call made %d SETs; want 2, one for each limit", server.calls(t, "set"))
	}
	for range 20 {
		if take("a", 1) || !take("a", 0) || take("b", 2) || !take("b", 0) {
			t.Fatal("a wrong decision")
		}
	}
	if n := server.calls(t, "set"); n != 2 {
		t.Errorf("80 calls that charge nothing made %d SETs", n-2)
	}
	if n := server.calls(t, "evalsha") + server.calls(t, "eval"); n != 82 { // 81, and the NOSCRIPT of the first
		t.Errorf("81 decisions made %d script calls; want one each, and one more for the first", n)
	}
}

// policy compiles valid limits.
func policy(t testing.TB, limits ...ratelimit.Limit) []store.Limit {
	t.Helper()
	return testkit.Limits(t, limits...)
}
