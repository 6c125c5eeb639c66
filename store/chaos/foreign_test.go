package chaos_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestPersisted: after the expiry of a bucket was removed, the next charge sets it again.
func TestPersisted(t *testing.T) {
	server := chaos.StartServer(t)
	backend := patientStore(t, server)
	p := policyOf(t, ratelimit.PerHour(5))
	take(t, backend, "key", p, 1)
	name := server.Keys("keyrate:")[0]
	if server.Do("PERSIST", name) != int64(1) || server.Do("PTTL", name) != int64(-1) {
		t.Fatal("the bucket was not persisted")
	}
	d := take(t, backend, "key", p, 1)
	ttl, _ := server.Do("PTTL", name).(int64)
	if want := d.Debts[0].Micros / 1000; ttl < want-int64(chaos.Patience(5*time.Second)/time.Millisecond) || ttl > want+1 {
		t.Errorf("the bucket has %d ms to live; want its debt, %d ms", ttl, want)
	}
	if r := p[0].Remaining(d.Debts[0]); r != 3 {
		t.Errorf("%d tokens remain; want 3", r)
	}
}

// TestLifeEndsWhenFull: a bucket expires in Redis when it is full.
func TestLifeEndsWhenFull(t *testing.T) {
	server := chaos.StartServer(t)
	backend := patientStore(t, server)
	for _, limit := range []ratelimit.Limit{
		ratelimit.PerSecond(5), ratelimit.PerSecond(3), {Rate: 1, Period: 1900 * time.Millisecond}, ratelimit.PerDay(1), {Rate: 1, Period: gcra.MaxRefill},
	} {
		p := policyOf(t, limit.Named(strconv.Itoa(limit.Rate)+limit.Period.String()))
		d := take(t, backend, "key", p, 1)
		name := server.Keys("keyrate:")
		var ttl int64 = -3
		for _, n := range name {
			if strings.HasSuffix(n, p[0].Name) {
				ttl, _ = server.Do("PTTL", n).(int64)
			}
		}
		if want := d.Debts[0].Micros/1000 + 1; ttl > want+1 || ttl < want-int64(chaos.Patience(200)) {
			t.Errorf("%v: the bucket has %d ms to live; want %d", limit, ttl, want)
		}
	}
	chaos.Until(t, 5*time.Second, "the short ones have ended", func() bool { return server.Do("DBSIZE") == int64(2) })
}

// TestForeignValues: a foreign value in the place of a bucket counts as a full bucket, is
// overwritten, and reported to the program.
func TestForeignValues(t *testing.T) {
	server := chaos.StartServer(t)
	found := 0
	backend := newStore(t, patientClient(t, server), redisstore.Config{OnForeign: func(n int) { found += n }})
	p := policyOf(t, ratelimit.PerHour(2))
	take(t, backend, "key", p, 1)
	name := server.Keys("keyrate:")[0]
	ours := fmt.Sprint(server.Do("GET", name))
	commands := [][]any{
		{"LPUSH", name, "1"}, {"HSET", name, "f", "1"}, {"SADD", name, "1"}, {"ZADD", name, 1, "1"}, {"XADD", name, "*", "f", "1"},
	}
	for _, value := range []string{
		"", "0", "1", "-1", "nan", "inf", "-inf", "1e309", "null", "true", "{}", "\x00", "9007199254740993", "99999999999999999999",
		"9" + ours[1:], ours + "x", " " + ours, ours + "\n", ours + "\x00", strings.Replace(ours, ":", ":-", 1), strings.Repeat("1", 1<<20),
	} {
		commands = append(commands, []any{"SET", name, value})
	}
	for _, command := range commands {
		server.Do("DEL", name)
		server.Do(command...)
		before := found
		shown := fmt.Sprint(command[0], " ", command[2:])
		if len(shown) > 60 {
			shown = shown[:60] + "..."
		}
		for i := range 3 {
			d := take(t, backend, "key", p, 1)
			if want := i < 2; d.Allowed != want {
				t.Errorf("after %s call %d was answered allowed=%v", shown, i+1, d.Allowed)
			}
		}
		if found != before+1 {
			t.Errorf("%s was reported %d times; want once", shown, found-before)
		}
		if ttl, _ := server.Do("PTTL", name).(int64); ttl <= 0 || ttl > 3_600_001 {
			t.Errorf("after %s the bucket has %d ms to live", shown, ttl)
		}
	}
}
