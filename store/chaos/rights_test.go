package chaos_test

import (
	"net/url"
	"testing"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestRights: a user of Redis with exactly the needed rights can decide. Without one of
// them, each call gets an error of class access.
func TestRights(t *testing.T) {
	server := chaos.StartServer(t)
	p := policyOf(t, countable)
	at := func(user string, rights ...any) *redisstore.Store {
		server.Do(append([]any{"ACL", "SETUSER", user, "on", ">secret"}, rights...)...)
		u := url.URL{Scheme: "redis", User: url.UserPassword(user, "secret"), Host: server.Addr}
		return newStore(t, newClient(t, u.String()), redisstore.Config{})
	}
	for user, rights := range map[string][]any{
		"just_enough":     {"~keyrate:*", "+evalsha", "+eval", "+time", "+get", "+set", "+hello"},
		"without_evalsha": {"~keyrate:*", "+eval", "+time", "+get", "+set"},
	} {
		t.Run(user, func(t *testing.T) {
			backend := at(user, rights...)
			for range 3 {
				if d, err := tryTake(t.Context(), backend, user, p, 1); err != nil || !d.Allowed {
					t.Errorf("%+v, %v", d, err)
				}
			}
			if n := charged(t, backend, user, countable); n != 3 {
				t.Errorf("%d tokens were charged; want 3", n)
			}
		})
	}
	for user, rights := range map[string][]any{
		"without_eval": {"~keyrate:*", "+time", "+get", "+set"},
		"without_time": {"~keyrate:*", "+evalsha", "+eval", "+get", "+set"},
		"without_get":  {"~keyrate:*", "+evalsha", "+eval", "+time", "+set"},
		"without_set":  {"~keyrate:*", "+evalsha", "+eval", "+time", "+get"},
		"without_keys": {"~other:*", "+evalsha", "+eval", "+time", "+get", "+set"},
	} {
		t.Run(user, func(t *testing.T) {
			backend := at(user, rights...)
			for range 3 {
				d, err := tryTake(t.Context(), backend, user, p, 1)
				if class := store.ErrorClass(err); d.Allowed || class != redisstore.ClassAccess {
					t.Errorf("allowed=%v, class %q, %v; want class %q", d.Allowed, class, err, redisstore.ClassAccess)
				}
			}
			if err := store.Probe(t.Context(), backend, "", store.DefaultTimeout); store.ErrorClass(err) != redisstore.ClassAccess {
				t.Errorf("Prove returned %v; want class %q", err, redisstore.ClassAccess)
			}
		})
	}
}
