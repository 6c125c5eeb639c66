package storetest

import (
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
)

var keyClauses = []clause{
	{name: "AnyKey", promise: "any bytes are a key with a limit of its own", check: checkKeys},
	{name: "KeyAndNameStaySeparate", promise: "no key and limit name share a bucket with another key and name", check: checkJoin},
	{name: "ManyKeys", promise: "a thousand keys are independent of each other", check: checkMany},
}

// mebibyte is the longest key that a store must take.
const mebibyte = 1 << 20

func checkKeys(p *probe) {
	long := strings.Repeat("k", mebibyte)
	keys := []string{
		"", " ", "a", "A", "a ", " a", "aa", "b",
		"\x00", "\x00\x00", "a\x00", "a\x00b", "\x00a",
		"\r\n", "a\r\nSET b 1\r\n", "\n", "\t",
		"{}", "{a}", "{a}b", "}{", "*", "a*", "?", "[a]", "%", "%00", "%s", "a%20", "a/../b", "//a", "\"", "'", "\\",
		"\xff", "\xff\xfe", "a\xff", "\xc3\x28", "\xed\xa0\x80", "\ufffd",
		"\u00e9", "e\u0301", "\u0430", "\U0001f511", // é twice, a Cyrillic a, a key
		"0", "-1", "nil", "null", "default", "keyrate", "probe",
		long, long + "k", long[:mebibyte-1], long[:mebibyte-1] + "l", "l" + long[1:], long[:mebibyte/2] + "l" + long[mebibyte/2+1:],
	}
	two := policy(ratelimit.PerHour(2))
	// Twice all in turn, so that each would meet the buckets of the others.
	for range 2 {
		for i, key := range keys {
			if d := p.take(key, two, 1); !d.Allowed {
				p.fail("key %s was denied with the debt of another key: %v", shown(i, key), debts(two, d))
			}
		}
	}
	for i, key := range keys {
		d := p.take(key, two, 1)
		if d.Allowed {
			p.fail("key %s was admitted a third time", shown(i, key))
		}
		p.debts("of key "+shown(i, key), two, d, micros(3_600_000_000))
	}
}

// shown returns a key for a message.
func shown(i int, key string) string {
	if len(key) > 20 {
		return fmt.Sprintf("number %d of %d bytes", i, len(key))
	}
	return fmt.Sprintf("%q", key)
}

func checkJoin(p *probe) {
	limit := ratelimit.PerHour(1)
	for _, sep := range []string{"|", ":", "/", "#", "-", "_", ".", "{", "}", "=", "&", " ", "::", "a"} {
		// "a|b" + "c" and "a" + "b|c", and with a separator left out or at the edge
		for _, pair := range []struct{ key, name string }{
			{"a" + sep + "b", "c"}, {"a", "b" + sep + "c"},
			{"a" + sep, "b" + sep + "c"}, {"a" + sep + "b" + sep, "c"},
			{"c", "a" + sep + "b"}, {sep + "x", "y"}, {"", "x" + sep + "y"}, {"x", "y"}, {"y", "x"},
		} {
			one := policy(limit.Named(pair.name))
			key := sep + "\n" + pair.key // each separator on its own
			if d := p.take(key, one, 1); !d.Allowed {
				p.fail("key %q under limit %q shares the bucket of another pair", key, pair.name)
			}
			p.deny(key, one, 1)
		}
	}
}

func checkMany(p *probe) {
	both := policy(ratelimit.PerHour(5), ratelimit.PerDay(100).Named("daily"))
	key := func(i int) string { return fmt.Sprintf("many %d", i) }
	for i := range 1000 {
		for range i % 6 {
			p.admit(key(i), both, 1)
		}
	}
	for i := range 1000 {
		taken := int64(i % 6)
		p.state("of "+key(i), key(i), both, micros(taken*720_000_000), micros(taken*864_000_000))
	}
}
