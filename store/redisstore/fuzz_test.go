package redisstore

import (
	"regexp"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// ours is our form. We write no zeros in front of a number, but they change nothing.
var ours = regexp.MustCompile(`^1:0*[0-9]{1,16}(:0*[0-9]{1,10}:0*[0-9]{1,10}:0*[0-9]{1,16}:0*[0-9]{1,15})?$`)

// FuzzValue: no bytes in the place of a bucket cause an error, a wait longer than one
// refill, or a value that does not expire. A value not in our form is a full bucket.
func FuzzValue(f *testing.F) {
	for _, stranger := range strangers() {
		if value, ok := stranger[2].(string); ok && stranger[0] == "set" && len(value) < 200 {
			f.Add(value)
		}
	}
	f.Add("1:1795301300123456")
	f.Add("1:1795301300123456:1:3:0:0")
	f.Add("1:1795301300123456:0:1:1795301300123456:3600000000")
	f.Add("1:000000000000000:0:00000000001:0:0")
	server := miniredis.RunT(f)
	client := patient(f, server.Addr())
	p := policy(f, ratelimit.PerMinute(60))
	f.Fuzz(func(t *testing.T, value string) {
		foreign := 0
		s := newStore(t, client, Config{OnForeign: func(n int) { foreign += n }})
		name := s.names.owner("", "k").bucket(&p[0])
		if err := server.Set(name, value); err != nil {
			t.Fatal(err)
		}
		d, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: patience})
		if err != nil {
			t.Fatal(err)
		}
		if !ours.MatchString(value) && (foreign != 1 || !d.Allowed || d.Debts[0].Micros != 1_000_000) {
			t.Errorf("%q: %+v, counted %d times; want a full bucket and one", value, d, foreign)
		}
		life := server.TTL(name)
		if foreign == 1 && !d.Allowed || life == 0 && !ours.MatchString(value) || d.Allowed && life == 0 {
			t.Errorf("%q: %+v, and lives for %v", value, d, life)
		}
		if kept, err := server.Get(name); err != nil || !ours.MatchString(kept) {
			t.Errorf("%q was replaced by %q, %v", value, kept, err)
		}
	})
}

// FuzzURL: NewClient panics with no URL and repeats none in an error.
func FuzzURL(f *testing.F) {
	for _, url := range []string{
		"redis://user:open-sesame@host:6379/0", "rediss://host1:1,host2:2", "unix:///run/redis.sock?db=1",
		"redis://:open/sesame@[::1]:1/1?master_name=m", "redis://h?cluster=true", "redis://open-sesame",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		o, err := parseURL(url)
		if err != nil {
			if o != nil || len(url) > 8 && strings.Contains(err.Error(), url) && !strings.Contains(errURL.Error()+errScheme.Error()+errParameter.Error(), url) {
				t.Errorf("%q: %v, %v", url, o, err)
			}
			return
		}
		if len(o.Addrs) == 0 || o.IsClusterMode && o.MasterName != "" {
			t.Errorf("%q: %+v", url, o)
		}
	})
}
