package redisstore

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestNames: each key and limit has its own bucket, and all buckets of a key have one hash
// tag, with any bytes in the key.
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
			name := n.owner("", key).bucket(&p[i])
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

// TestSecret: New rejects a short secret, and does not repeat it in the error.
func TestSecret(t *testing.T) {
	client := patient(t, "127.0.0.1:1")
	for _, secret := range []string{"x", "hunter2", "fifteen bytes ;", strings.Repeat("z", minSecret-1)} {
		_, err := New(client, Config{Secret: []byte(secret)})
		if err == nil || !strings.Contains(err.Error(), "Config.Secret") || !strings.Contains(err.Error(), "at least 16") || strings.Contains(err.Error(), secret) && secret != "x" {
			t.Errorf("a secret of %d bytes: %v", len(secret), err)
		}
	}
	for _, secret := range [][]byte{nil, {}, []byte(strings.Repeat("z", minSecret)), make([]byte, 64)} {
		if _, err := New(client, Config{Secret: secret}); err != nil {
			t.Errorf("a secret of %d bytes: %v", len(secret), err)
		}
	}
}
