package redisstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// strangers returns commands that put a foreign value at the key KEY.
func strangers() [][]any {
	set := func(value string) []any { return []any{"set", "KEY", value} }
	return [][]any{
		set(""), set(" "), set("0"), set("1"), set("-1"), set("abc"), set("nan"), set("inf"), set("-inf"), set("1e300"), set("0x10"),
		set("\x00\xff\n"), set(`{"tat":1}`), set(strings.Repeat("9", 80)), set(strings.Repeat("x", 1<<20)),
		set("1:nan:0:1:0:0"), set("1:inf:0:1:0:0"), set("1:-5:0:1:0:0"), set("1:1e15:0:1:0:0"), set("1:5.5:0:1:0:0"),
		set("1"), set("1:"), set("1:nan"), set("1:-5"), set("1:5.5"), set("1:9007199254740992"), set("1:99999999999999999"), set("1:5 "), set("2:5"),
		set("2:5:0:1:0:0"), set("01:5:0:1:0:0"), set("1:5:0:1:0"), set("1:5:0:1:0:0:0"), set(" 1:5:0:1:0:0"), set("1:5:0:1:0:0\n"), set("1::0:1:0:0"),
		set("1:9007199254740992:0:1:0:0"), set("1:99999999999999999:0:1:0:0"), set("1:5:0:0:0:0"), set("1:5:3:3:0:0"),
		set("1:5:0:4294967296:0:0"), set("1:5:0:1:99999999999999999:0"), set("1:5:0:1:5:999999999999999"), set("1:5:0:1:5:9999999999999999"),
		{"rpush", "KEY", "1"}, {"hset", "KEY", "f", "1"}, {"sadd", "KEY", "1"}, {"zadd", "KEY", "1", "1"},
		{"xadd", "KEY", "*", "f", "1"}, {"pfadd", "KEY", "1"}, {"setbit", "KEY", "7", "1"}, {"geoadd", "KEY", "1", "1", "a"},
	}
}

// TestForeignValue: any foreign value counts as a full bucket, is overwritten by any call,
// is counted once, and expires when it should.
func TestForeignValue(t *testing.T) {
	p := policy(t, ratelimit.PerMinute(60).WithBurst(10))
	for name, open := range map[string]func(t *testing.T) *redis.Client{
		"miniredis": func(t *testing.T) *redis.Client { return patient(t, miniredis.RunT(t).Addr()) },
		"redis":     func(t *testing.T) *redis.Client { return patient(t, startRedis(t).address) },
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t)
			counted := 0
			s := newStore(t, client, Config{OnForeign: func(n int) {
				counted += n
				panic("a panic of OnForeign changes no decision")
			}})
			take := func(t *testing.T, key string, cost int, known *store.Knowledge) store.Decision {
				t.Helper()
				d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Known: known, Timeout: 10 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			for i, stranger := range strangers() {
				for _, call := range []struct {
					name    string
					cost    int
					known   *store.Knowledge
					allowed bool
					owes    int64
				}{
					{"admitted", 3, nil, true, 3},
					{"cost 0", 0, nil, true, 0},
					{"above the burst", 11, nil, false, 0},
					{"denied by knowledge", 1, &store.Knowledge{{Debt: gcra.Debt{Micros: 10_000_000}}}, false, 10},
				} {
					t.Run(fmt.Sprintf("%d %.30q %s", i, stranger, call.name), func(t *testing.T) {
						key := t.Name()
						name := s.names.owner("", key).bucket(&p[0])
						stranger[1] = name
						if err := client.Do(t.Context(), stranger...).Err(); err != nil {
							t.Fatal(err)
						}
						counted = 0
						d := take(t, key, call.cost, call.known)
						if d.Allowed != call.allowed || d.Debts[0] != (gcra.Debt{Micros: call.owes * 1_000_000}) {
							t.Errorf("answered %+v; want allowed=%v and %d tokens owed", d, call.allowed, call.owes)
						}
						if counted != 1 {
							t.Errorf("%d foreign values were counted; want 1", counted)
						}
						life, err := client.PTTL(t.Context(), name).Result()
						if err != nil || life == -1 || call.owes > 0 && call.allowed && (life < 2*time.Second || life > 3*time.Second) || !call.allowed && life > time.Millisecond {
							t.Errorf("the value lives for %v, %v", life, err)
						}
						if kind := client.Type(t.Context(), name).Val(); kind != "string" && kind != "none" {
							t.Errorf("a %s is still there", kind)
						}
						if d := take(t, key, 1, nil); !d.Allowed || counted != 1 {
							t.Errorf("the next call: %+v, and %d foreign values were counted", d, counted)
						}
					})
				}
			}
		})
	}
}

// TestBrokenValue: a value in our form with an impossible debt, without an expiry, or from
// another clock denies a key for at most one refill.
func TestBrokenValue(t *testing.T) {
	server := startRedis(t)
	s := newStore(t, patient(t, server.address), Config{OnForeign: func(int) { t.Error("it counts as a foreign value") }})
	p := policy(t, ratelimit.PerSecond(10).WithBurst(5)) // half a second
	now := time.Now().UnixMicro()
	for i, value := range []string{
		fmt.Sprintf("1:%d:0:1:0:0", now+3_600_000_000),                                   // an hour ahead
		"1:9007199254740991",                                                             // the year 2255
		fmt.Sprintf("1:%d:2147483647:2147483648:0:0", now+3_600_000_000),                 // another denominator
		fmt.Sprintf("1:%d:0:1:%d:315360000000000", now+7_200_000_000, now+7_200_000_000), // with a marker, by a clock two hours ahead
	} {
		key := fmt.Sprintf("wrong %d", i)
		name := s.names.owner("", key).bucket(&p[0])
		server.do(t, "set", name, value)
		start := time.Now()
		first := true
		for {
			d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: 1, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				break
			}
			if first && d.Debts[0] != p[0].Capacity() {
				t.Errorf("%s: the first denial returns a debt of %v", value, d.Debts[0])
			}
			if life := server.number(t, "pttl", name); first && life < 0 {
				t.Errorf("%s: does not expire after a denial", value)
			}
			first = false
			if time.Since(start) > 2*time.Second {
				t.Fatalf("%s: still denied after %v", value, time.Since(start))
			}
			time.Sleep(5 * time.Millisecond)
		}
		if first || time.Since(start) < 90*time.Millisecond {
			t.Errorf("%s: admitted after %v; want one token's time", value, time.Since(start))
		}
	}

	// A value whose expiry was removed expires again after the next charge.
	d, err := s.Take(t.Context(), store.Request{Key: "persisted", Limits: p, Cost: 1, Timeout: time.Second})
	if err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	name := s.names.owner("", "persisted").bucket(&p[0])
	server.do(t, "persist", name)
	if _, err := s.Take(t.Context(), store.Request{Key: "persisted", Limits: p, Cost: 1, Timeout: time.Second}); err != nil {
		t.Fatal(err)
	}
	if life := server.number(t, "pttl", name); life < 0 {
		t.Error("a persisted value does not expire after a charge")
	}
}
