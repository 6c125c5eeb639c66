package chaos_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultForeign: another program writes values of any kind in the place of buckets. They
// are overwritten, admit nothing more, and deny for at most one refill.
func TestFaultForeign(t *testing.T) {
	t.Parallel()
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		var found atomic.Int64
		b := startBout(t, "16", "any value or type at a key", chainConfig{
			At: server, Redis: redisstore.Config{OnForeign: func(n int) { found.Add(int64(n)) }},
		})
		var names []string
		for _, name := range server.Keys("keyrate:") {
			// The bucket of the ledger lives for hours.
			if life, _ := server.Do("PTTL", name).(int64); life < 60_000 && !strings.HasSuffix(name, "probe") {
				names = append(names, name)
			}
		}
		if len(names) != len(faultKeys()) {
			t.Fatalf("there are %d buckets; want %d", len(names), len(faultKeys()))
		}
		put := 0
		b.begin(func() {
			for _, kind := range foreignKinds() {
				for _, name := range names {
					b.lose(func() {
						server.Do(append([]any{"EVAL", "redis.call('DEL', KEYS[1]) return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))", 1, name}, kind...)...)
					})
					put++
				}
				for _, name := range names {
					chaos.Until(t, 3*time.Second, fmt.Sprintf("a bucket with %.40q is healed", kind), func() bool { return ours(server, name) })
				}
			}
		})
		// Values that a call without an answer has overwritten are not counted.
		unknown := b.chain.tap.count(func(one trip) bool { return one.unknown })
		if n := int(found.Load()); n > put || n < put-unknown {
			b.lacks("of %d foreign values %d were found, while %d calls had no answer", put, n, unknown)
		} else {
			t.Logf("%d foreign values were put in place of buckets, and %d found", put, n)
		}
		// Valid values with a debt above the capacity of the limit.
		for _, text := range []string{"1:9007199254740991", "1:9007199254740991:0:1:0:0"} {
			for _, name := range names {
				server.Do("SET", name, text)
			}
			time.Sleep(1500 * time.Millisecond)
			for _, name := range names {
				chaos.Until(t, 3*time.Second, "a bucket is clamped", func() bool { return ours(server, name) })
			}
		}
		b.end(func() {})
		for _, name := range names {
			if life, _ := server.Do("PTTL", name).(int64); life < 0 && life != -2 || life > 1001 {
				b.lacks("a bucket has %d ms to live; want 1001 at most, which is one refill", life)
			}
		}
		b.finish()
		return b, wants{Slowest: budget, Stays: true, Gap: 1200 * time.Millisecond, Ledger: server}
	})
}

// foreignKinds are commands that write a value in the place of a bucket, without its name.
func foreignKinds() [][]any {
	kinds := [][]any{
		{"LPUSH", "1"}, {"HSET", "f", "1"}, {"SADD", "1"}, {"ZADD", 1, "1"}, {"XADD", "*", "f", "1"}, {"PFADD", "1"}, {"SETBIT", 7, 1},
	}
	for _, value := range []string{
		"", "0", "1", "-1", "nan", "inf", "-inf", "1e309", "null", "{}", "\x00", "1:", "1:-1", "1:1.5", "2:1767225600000000",
		"1:9007199254740993", "1:99999999999999999999", "1:1:1", "1:1:5:3:0:0", strings.Repeat("1", 1<<20),
	} {
		kinds = append(kinds, []any{"SET", value})
	}
	return kinds
}

var oursForm = regexp.MustCompile(`^1:[0-9]{16}(:[0-9]+){0,4}$`)

// ours reports whether a key holds a bucket, or nothing, which is a full one.
func ours(server *chaos.Server, name string) bool {
	if life, _ := server.Do("PTTL", name).(int64); life == -2 {
		return true
	} else if life == -1 {
		return false
	}
	if server.Do("TYPE", name) != "string" {
		return false
	}
	text := fmt.Sprint(server.Do("GET", name))
	return oursForm.MatchString(text) && !strings.HasPrefix(text, "1:900719925474099")
}
