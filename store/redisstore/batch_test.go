package redisstore

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// What somebody found who attacked this package.

// TestRenamedCommands: Redis repeats the arguments of a command that it does not
// know. No password gets into an error so, and without EVALSHA it is EVAL.
func TestRenamedCommands(t *testing.T) {
	p := policy(t, ratelimit.PerHour(100))
	take := func(s *Store) (ratelimit.Decision, error) {
		return s.Take(t.Context(), ratelimit.Request{Key: "k", Policy: p, Cost: 1, Timeout: time.Second})
	}
	t.Run("AUTH", func(t *testing.T) {
		server := startRedis(t, "--rename-command", "AUTH", "", "--rename-command", "HELLO", "")
		client, err := NewClient("redis://user:sesame@" + server.address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, err = take(newStore(t, client, Config{}))
		if err == nil || !strings.Contains(err.Error(), "unknown command") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%v; want an unknown command, without its arguments", err)
		}
	})
	t.Run("EVALSHA", func(t *testing.T) {
		server := startRedis(t, "--rename-command", "EVALSHA", "")
		if d, err := take(newStore(t, patient(t, server.address), Config{})); err != nil || !d.Allowed {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestBrokenKnowledgeIsNobodyElsesFault: what one caller claims to know, and no bucket
// can have, does not cost the others of its flight their answers.
func TestBrokenKnowledgeIsNobodyElsesFault(t *testing.T) {
	server := startRedis(t)
	s := newStore(t, patient(t, server.address), Config{})
	p := policy(t, ratelimit.Limit{Rate: 7, Period: time.Hour, Burst: 100})
	now := time.Now().UnixMicro()
	broken := &ratelimit.Knowledge{{Debt: ratelimit.Debt{Micros: 1e9}, TAT: ratelimit.TAT{Micros: now + 5e8, Frac: 50, Den: 7}}}
	var calls []*call
	for _, r := range []ratelimit.Request{
		{Key: "one", Policy: p, Cost: 1},
		{Key: "broken", Policy: p, Cost: 1, Known: broken},
		{Key: "other", Policy: p, Cost: 1},
	} {
		calls = append(calls, newCall(t.Context(), &s.calls, r, s.names.tag(r.Key)))
	}
	s.send(t.Context(), calls)
	for _, c := range calls {
		if c.err != nil || !c.decision.Allowed {
			t.Errorf("%s: %+v, %v", c.request.Key, c.decision, c.err)
		}
	}
	if n := s.foreign.Load(); n != 0 {
		t.Errorf("%d foreign values", n)
	}
}
