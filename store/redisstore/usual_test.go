package redisstore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// TestUsual: the short path answers and writes what the rest of the script answers and writes, or nothing.
func TestUsual(t *testing.T) {
	short := redis.NewScript(usualText + "local time = redis.call('TIME'); return usual(time[1] * 1000000 + time[2]) or {}")
	long := redis.NewScript(bucketText + strings.Replace(takeText, "local answer = usual(now)", "local answer", 1))
	limits := [][]store.Limit{
		policy(t, ratelimit.PerSecond(5)),
		policy(t, ratelimit.PerSecond(5).WithBurst(2)),
		policy(t, ratelimit.PerHour(1000).WithBurst(3)),
		policy(t, ratelimit.PerSecond(7)), // 142857 1/7 microseconds
		policy(t, ratelimit.PerSecond(5), ratelimit.PerHour(1000).Named("hourly")),
		policy(t, ratelimit.AtOnce(2)),
	}
	for name, open := range benches() {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			seed, err := storetest.Seed()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("KEYRATE_SEED=%#x", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			s := newStore(t, b.client, Config{})
			now, seen := epoch, map[string]int{}
			for range testkit.Count(300, 1500) {
				now = now.Add(time.Duration(random.Int64N(1 << random.IntN(38))))
				b.set(t, now)
				calls := usualCalls(t, s, limits, now, random)
				batch := newBatch(calls)
				keys := make([]string, len(batch.keys))
				for i, k := range batch.keys {
					keys[i], _ = k.(string)
					if random.IntN(40) == 0 {
						odd(t, b.client, keys[i], now, random)
					}
				}
				before := values(t, b.client, keys)
				got, err := short.Run(t.Context(), b.client, keys, batch.args...).Int64Slice()
				if err != nil {
					t.Fatal(err)
				}
				wrote := values(t, b.client, keys)
				if len(got) == 0 {
					seen["left to the rest"]++
					if !maps.Equal(before, wrote) {
						t.Fatalf("it left the batch to the rest of the script, and wrote %v; before %v", wrote, before)
					}
				} else {
					restore(t, b.client, before)
				}
				want, err := long.Run(t.Context(), b.client, keys, batch.args...).Int64Slice()
				if err != nil {
					t.Fatal(err)
				}
				if batch.args[0] == formBrief && want[1] == 0 { // a foreign value is not restored
					after := values(t, b.client, keys)
					restore(t, b.client, before)
					full, err := long.Run(t.Context(), b.client, keys, inFull(&batch)...).Int64Slice()
					if wrote := values(t, b.client, keys); err != nil || !slices.Equal(full, want) || !maps.Equal(wrote, after) {
						t.Fatalf("KEYRATE_SEED=%#x: at %d, keys %v, arguments %v, values %v: in brief\nanswered %v and wrote %v;\nin full  %v and       %v (%v)", seed, now.UnixMicro(), keys, batch.args, before, want, after, full, wrote, err)
					}
					seen["brief"]++
				}
				if len(got) == 0 {
					continue
				}
				seen["short"]++
				if batch.args[0] == formBrief {
					seen["brief, short"]++
				}
				if len(keys) == 1 {
					seen["alone"]++
				}
				for i := range want[2:] {
					seen[map[bool]string{true: "allowed", false: "denied"}[want[i+2] >= 0]]++
				}
				if after := values(t, b.client, keys); !reflect.DeepEqual(got, want) || !maps.Equal(wrote, after) {
					t.Fatalf("KEYRATE_SEED=%#x: at %d, keys %v, arguments %v, values %v:\nanswered %v and wrote %v;\nwant     %v and       %v", seed, now.UnixMicro(), keys, batch.args, before, got, wrote, want, after)
				}
			}
			t.Log(seen)
			for _, what := range []string{"short", "alone", "left to the rest", "allowed", "denied", "brief", "brief, short"} {
				if seen[what] < testkit.Count(15, 70) {
					t.Errorf("%q occurred %d times; want it often", what, seen[what])
				}
			}
		})
	}
}

// inFull returns the arguments of a brief batch in full.
func inFull(b *batch) []any {
	full := batch{args: []any{formFull, 1}}
	full.addKind(b.calls[0].kind())
	for _, c := range b.calls {
		full.addRequest(c, 1)
	}
	return full.args
}

// knowledge returns what a request may know of buckets at an instant, be it true or not.
func knowledge(limits []store.Limit, now time.Time, random *rand.Rand) *store.Knowledge {
	var k store.Knowledge
	for i := range limits {
		l := &limits[i]
		debt, _ := l.Cost(random.IntN(4))
		at := now.UnixMicro() - random.Int64N(1<<random.IntN(30))
		if random.IntN(4) > 0 {
			k[i].Debt, k[i].Seen = debt, at*random.Int64N(2)
		}
		if random.IntN(4) > 0 {
			k[i].TAT = l.TATAt(debt, at)
		}
	}
	return &k
}

// usualCalls returns the calls of a batch that usually has the short path.
func usualCalls(t *testing.T, s *Store, limits [][]store.Limit, now time.Time, random *rand.Rand) []*call {
	t.Helper()
	known := random.IntN(2) == 0
	p, cost := limits[random.IntN(3)], 1+random.IntN(2)
	var calls []*call
	for range 1 + random.IntN(8)*random.IntN(2) {
		r := store.Request{Key: fmt.Sprint(random.IntN(6)), Limits: p, Cost: cost, Timeout: time.Minute}
		switch random.IntN(60) {
		case 0:
			r.Limits = limits[3+random.IntN(3)]
		case 1:
			r.Cost = random.IntN(5) - 1
		case 2:
			r.Least = 1
		case 3:
			r.Hold = new(store.Hold)
		}
		if known && random.IntN(4) > 0 {
			r.Known = knowledge(r.Limits, now, random)
		}
		calls = append(calls, newCall(t.Context(), &s.calls, r, s.names.owner("", r.Key)))
	}
	return calls
}

// odd plants a value that is foreign, or a bucket that is not the usual one.
func odd(t *testing.T, client *redis.Client, key string, now time.Time, random *rand.Rand) {
	t.Helper()
	kinds := strangers()
	command := kinds[random.IntN(len(kinds))]
	if random.IntN(2) == 0 {
		ahead := now.UnixMicro() + random.Int64N(1<<random.IntN(40))
		command = []any{"set", key, []string{
			fmt.Sprintf("1:%d", ahead), fmt.Sprintf("1:%d:0:1:%d:9000000", ahead, now.UnixMicro()), fmt.Sprintf("1:%d:1:7:6:1", ahead),
			fmt.Sprintf("1:%d:0:1:5:2", ahead), fmt.Sprintf("1:%d:0:1:5:36", ahead), fmt.Sprintf("1:%d:0:1:0:0", ahead),
		}[random.IntN(6)]}
	}
	if err := client.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	command[1] = key
	if err := client.Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
}

// A stored value is as DUMP returns it, with its life in milliseconds.
type stored struct {
	dump string
	life time.Duration
}

// values returns the values of keys.
func values(t *testing.T, client *redis.Client, keys []string) map[string]stored {
	t.Helper()
	all := map[string]stored{}
	for _, key := range keys {
		dump, err := client.Dump(t.Context(), key).Result()
		if err != nil {
			continue // there is none
		}
		all[key] = stored{dump, client.PTTL(t.Context(), key).Val()}
	}
	return all
}

// restore makes the values those of before.
func restore(t *testing.T, client *redis.Client, before map[string]stored) {
	t.Helper()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for key, v := range before {
		if err := client.RestoreReplace(t.Context(), key, max(v.life, 0), v.dump).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
