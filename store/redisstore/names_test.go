package redisstore

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestNames: keys and limits have buckets of their own, all of one key under one hash
// tag, whatever bytes they are of.
func TestNames(t *testing.T) {
	p := policy(t, ratelimit.PerHour(1), ratelimit.PerDay(1).Named("{a} *:b"))
	secret := []byte("one")
	n := newNames("app", secret)
	seen := map[string]bool{}
	for _, key := range []string{"", "a", "{a}", "}{", "a\x00b", "\r\n", strings.Repeat("x", 1<<20)} {
		tag := n.tag(key)
		if len(tag) != len("app:{")+43+len("}:") || !strings.HasPrefix(tag, "app:{") || strings.Count(tag, "{") != 1 || strings.Count(tag, "}") != 1 {
			t.Errorf("key %.10q has the tag %q", key, tag)
		}
		if tag != n.tag(key) {
			t.Errorf("key %.10q has two tags", key)
		}
		for i := range 2 {
			name := bucket(tag, p.Bucket(i))
			if seen[name] {
				t.Errorf("two buckets are named %q", name)
			}
			seen[name] = true
		}
	}
	one := n.tag("k")
	copy(secret, "two")
	if n.tag("k") != one || newNames("app", []byte("one")).tag("k") != one {
		t.Error("the tag depends on more than prefix, secret and key")
	}
	for _, other := range []*names{newNames("app", secret), newNames("app", nil), newNames("app2", []byte("one"))} {
		if other.tag("k") == one {
			t.Error("another prefix or secret makes the same tag")
		}
	}
}
