package chaos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// enough are the rights that redisstore needs, and the one for PING.
var enough = []any{"~keyrate:*", "+eval", "+evalsha", "+get", "+mget", "+set", "+time", "+info", "+ping"}

// TestFaultRights: the user in Redis loses a right. Redis still answers pings but cannot
// decide. Callers are not affected; the health check reports it.
func TestFaultRights(t *testing.T) {
	for _, c := range []struct {
		name       string
		take, give []any
		denied     string // according to the log of Redis
		keepsGoing bool   // Redis decides all the same
	}{
		{"without EVALSHA and EVAL", []any{"-eval", "-evalsha"}, []any{"+eval", "+evalsha"}, "eval", false},
		{"without TIME", []any{"-time"}, []any{"+time"}, "time", false},
		{"without GET", []any{"-get"}, []any{"+get"}, "get", false},
		{"without SET", []any{"-set"}, []any{"+set"}, "set", false},
		{"without the keys", []any{"resetkeys", "~other:*"}, []any{"~keyrate:*"}, "keyrate:", false},
		{"without EVALSHA alone", []any{"-evalsha"}, []any{"+evalsha"}, "evalsha", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inPeace(t, func(t *testing.T) (*bout, wants) {
				server := chaos.StartServer(t)
				server.Do(append([]any{"ACL", "SETUSER", "app", "on", ">secret"}, enough...)...)
				client := newClient(t, urlOf(server.Addr, "app", "secret"))
				b := startBout(t, "14", c.name, chainConfig{Client: client})
				control := startChain(t, chainConfig{Client: newClient(t, urlOf(server.Addr, "app", "secret")), Health: pingsOnly(client)})
				evals := server.Calls("eval")
				b.begin(func() { server.Do(append([]any{"ACL", "SETUSER", "app"}, c.take...)...) })
				o := &outage{fire: b.fire, keys: b.fire.keys, began: time.Now()}
				time.Sleep(1500 * time.Millisecond)
				health, pinged := b.chain.health(t), control.health(t)
				o.ended = time.Now()
				b.end(func() { server.Do(append([]any{"ACL", "SETUSER", "app"}, c.give...)...) })
				b.finish()
				if n := deniedTo(server, "app", c.denied); n < 10 {
					b.lacks("Redis has denied %q %d times; want 10", c.denied, n)
				}
				if c.keepsGoing {
					if health.Code != http.StatusOK || health.Status != string(store.StatusOK) {
						b.lacks("the health check says %+v", health)
					}
					if n := server.Calls("eval") - evals; n < 10 {
						b.lacks("EVAL was called %d times; want 10", n)
					}
					return b, wants{Slowest: budget, Extra: b.fire.fates(), Stays: true, Ledger: server}
				}
				o.wantLocal(b)
				if fault := seesThrough(health, redisstore.ClassAccess); fault != "" {
					b.lacks("%s", fault)
				}
				// The control: a health check that only pings reports nothing.
				if pinged.Code == 0 || seesThrough(pinged, redisstore.ClassAccess) == "" {
					b.lacks("a health check that only pings says %+v", pinged)
				}
				return b, wants{
					Slowest: budget, Extra: b.fire.fates(), Back: time.Second, Goroutines: 50, Ledger: server,
					Classes: []string{redisstore.ClassAccess},
				}
			})
		})
	}
}

// seesThrough returns "" if a health check says that the shared store is down, with this
// class, and that decisions are made locally.
func seesThrough(h healthAnswer, class string) string {
	if h.Code == http.StatusOK && h.Status == string(store.StatusDegraded) && h.Decides == "local" && h.names(class) {
		return ""
	}
	return fmt.Sprintf("the health check says %+v; want that it is degraded, decides locally, and names the class %q", h, class)
}

// pingsOnly is a simple health check with a ping.
func pingsOnly(client redis.UniversalClient) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := healthAnswer{Status: "ok", Decides: "redis"}
		if err := client.Ping(r.Context()).Err(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			h = healthAnswer{Status: "failed"}
		}
		_ = json.NewEncoder(w).Encode(h)
	})
}

// deniedTo returns how often Redis has denied a user something.
func deniedTo(s *chaos.Server, user, what string) (n int) {
	entries, _ := s.Do("ACL", "LOG", 100).([]any)
	for _, entry := range entries {
		fields, _ := entry.([]any)
		values := map[string]string{}
		for i := 0; i+1 < len(fields); i += 2 {
			values[fmt.Sprint(fields[i])] = fmt.Sprint(fields[i+1])
		}
		if values["username"] == user && strings.HasPrefix(values["object"], what) {
			var times int
			_, _ = fmt.Sscan(values["count"], &times)
			n += times
		}
	}
	return n
}

// urlOf returns a URL with a user for redisstore.NewClient.
func urlOf(addr, user, password string) string {
	u := url.URL{Scheme: "redis", User: url.UserPassword(user, password), Host: addr}
	return u.String()
}
