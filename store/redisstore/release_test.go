package redisstore

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// leased takes a lease of n tokens.
func leased(t *testing.T, s *Store, key string, p []store.Limit, n int) store.Hold {
	t.Helper()
	hold := store.Hold{Spend: true, Lease: n}
	d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Hold: &hold, Timeout: patience})
	if err != nil || !d.Allowed || hold.Leased != n {
		t.Fatalf("a lease of %d is answered %+v, %v, with %d", n, d, err, hold.Leased)
	}
	return hold
}

// owed returns how many tokens a bucket owes and how many are held, without what has drained.
func owed(t *testing.T, s *Store, key string, p []store.Limit) (spent, held int) {
	t.Helper()
	d, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return p[0].Burst() - p[0].Remaining(d.Debts[0]), d.Held[0]
}

// TestReleaseIsOneCommand: a lone request and its settlements are one command.
func TestReleaseIsOneCommand(t *testing.T) {
	server := miniredis.RunT(t)
	client := patient(t, server.Addr())
	s, p := newStore(t, client, Config{}), policy(t, ratelimit.PerDay(1000), ratelimit.PerDay(1000).Named("other"))
	var hook sent
	hold := leased(t, s, "k", p, 100)
	client.AddHook(&hook)
	for i := range 10 {
		next := store.Hold{Spend: true, Lease: 100}
		all := []store.Settlement{
			{Key: "k", Limits: p, Names: hold.Names, Held: 60, Actual: 1},
			{Key: "k", Limits: p[1:], Actual: 5},
			{Key: "another", Limits: p, Actual: 500},
			{Key: "k", Home: "a home", Limits: p, Actual: 500},
			{Key: "k", Actual: 500},
			{Key: "k", Limits: p, Names: hold.Names, Held: 40, Actual: 1},
		}
		d, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Hold: &next, Release: all, Timeout: patience})
		if err != nil || next.Leased != 100 || d.Held[0] != 100 || p[0].Remaining(d.Debts[0]) != 1000-3*(i+1) || p[1].Remaining(d.Debts[1]) != 1000-8*(i+1) {
			t.Fatalf("answered %+v, %v, leased %d", d, err, next.Leased)
		}
		for j, one := range all {
			failed := store.NewError(one.Err, "k")
			if made := j != 2 && j != 3 && j != 4; made != (one.Err == nil) || made && one.Now != d.Now || !made && !failed.NotCharged {
				t.Errorf("settlement %d: %+v", j, one)
			}
		}
		hold = next
	}
	if commands := hook.take(); len(commands) != 10 || slices.Contains(commands, "eval") {
		t.Errorf("10 requests took the commands %q", commands)
	}
}

// TestReleaseAtMostOnce: settlements that come with a request are made once if Redis has lost the
// script, and at most once if the answer is lost. Then they and the request share the error.
func TestReleaseAtMostOnce(t *testing.T) {
	server := startRedis(t)
	p := policy(t, ratelimit.PerDay(1000))
	for name := range retrying(t, server.address) {
		t.Run(name, func(t *testing.T) {
			proxy := startProxy(t, server.address)
			s := newStore(t, retrying(t, proxy.address)[name], Config{Prefix: name})
			hold, spent, held := leased(t, s, "k", p, 100), 0, 100
			for i := range 6 {
				lost := i%2 == 0
				if lost {
					proxy.cut.Store(true)
				} else {
					server.do(t, "script", "flush")
				}
				all := []store.Settlement{{Key: "k", Limits: p, Names: hold.Names, Held: 10, Actual: 7}}
				_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 2, Release: all, Timeout: patience})
				proxy.cut.Store(false)
				class := ""
				if lost {
					class = ClassLost
				}
				if store.ErrorClass(err) != class || store.ErrorClass(all[0].Err) != class {
					t.Errorf("the request returned %v, its settlement %v; want class %q", err, all[0].Err, class)
				}
				spent, held = spent+9, held-10
				if gotSpent, gotHeld := owed(t, s, "k", p); gotSpent != spent || gotHeld != held {
					t.Errorf("after %d requests %d are spent and %d held; want %d and %d", i+1, gotSpent, gotHeld, spent, held)
				}
			}
		})
	}
}

// TestReleaseNotSent: settlements of a request that is never sent were not made, and say so.
func TestReleaseNotSent(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s, p := newStore(t, patient(t, silent.Addr().String()), Config{}), policy(t, ratelimit.PerDay(1000))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(ctx context.Context, limits []store.Limit, timeout time.Duration) (all []store.Settlement, err error) {
		all = []store.Settlement{{Key: "k", Limits: p, Actual: 7}, {Key: "k", Limits: p, Actual: 1}}
		_, err = s.Take(ctx, store.Request{Key: "k", Limits: limits, Cost: 1, Release: all, Timeout: timeout})
		return all, err
	}
	check := func(what string, class string, notCharged bool, all []store.Settlement, err error) {
		for _, one := range all {
			if failed := store.NewError(one.Err, "k"); one.Err != err || failed.Class != class || failed.NotCharged != notCharged { //nolint:errorlint // the same error
				t.Errorf("%s: %v, NotCharged %v; the request returned %v", what, one.Err, failed.NotCharged, err)
			}
		}
	}
	var wg sync.WaitGroup
	for range maxSends {
		wg.Go(func() {
			all, err := take(t.Context(), p, time.Second)
			check("sent", store.ClassTimeout, false, all, err)
		})
	}
	for b := s.servers.batcher(t.Context(), ""); ; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		sends := b.sends
		b.mu.Unlock()
		if sends == maxSends {
			break
		}
	}
	all, err := take(t.Context(), p, 10*time.Millisecond)
	check("queued", store.ClassTimeout, true, all, err)
	all, err = take(canceled, p, time.Second)
	check("canceled", store.ClassCanceled, true, all, err)
	all, err = take(t.Context(), nil, time.Second)
	check("without limits", store.ClassOther, true, all, err)
	wg.Wait()
}

// TestReleaseInASplitBatch: if Redis rejects keys of several slots, settlements are made once, with
// their requests.
func TestReleaseInASplitBatch(t *testing.T) {
	server := miniredis.RunT(t)
	client := patient(t, server.Addr())
	client.AddHook(&splitting{words: "CROSSSLOT Keys in request don't hash to the same slot"})
	s, p := newStore(t, client, Config{}), policy(t, ratelimit.PerDay(1000))
	other := policy(t, ratelimit.PerDay(1000))
	var calls []*call
	for i := range 12 {
		r := store.Request{Key: fmt.Sprint(i % 4), Limits: p, Cost: 2, Timeout: patience}
		r.Release = []store.Settlement{{Key: r.Key, Limits: other, Actual: 3}, {Key: r.Key, Limits: p, Actual: 5}}
		c := newCall(t.Context(), &s.calls, r, s.names.owner("", r.Key))
		s.release(t.Context(), &r, c)
		calls = append(calls, c)
	}
	s.send(t.Context(), calls)
	for i, c := range calls {
		o := c.result()
		if n := 1000 - 10*(i/4+1); o.err != nil || len(o.released) != 2 || p[0].Remaining(o.Debts[0]) != n || p[0].Remaining(o.released[0].Debts[0]) != n+7 {
			t.Errorf("call %d: %+v; want %d left", i, o, n)
		}
	}
	if !s.slots.split.Load() {
		t.Error("the batch was not split")
	}
}

// TestReleasesCountInASend: calls with settlements take their room in a send.
func TestReleasesCountInASend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		var wg sync.WaitGroup
		rec.fill(t, &wg)
		const callers, releases = 150, 3
		for range callers {
			wg.Go(func() {
				newCall := func() *call {
					return newCall(t.Context(), &rec.calls, store.Request{Limits: noLimits, Timeout: time.Minute}, noOwner)
				}
				c := newCall()
				for range releases {
					c.releases = append(c.releases, newCall())
				}
				if o := rec.batcher.take(t.Context(), c); o.err != nil || len(o.released) != releases {
					t.Errorf("%+v", o)
				}
			})
		}
		synctest.Wait()
		close(rec.end)
		wg.Wait()
		synctest.Wait()
		for _, n := range rec.sizes()[maxSends:] {
			if n > maxCalls/(1+releases) {
				t.Errorf("a send took %d calls with %d settlements each; want %d at most", n, releases, maxCalls/(1+releases))
			}
		}
		rec.idle(t)
	})
}
