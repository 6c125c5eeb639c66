package chaos_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// startFireAt is startFire with keys of the test.
func startFireAt(t testing.TB, c *chain, keys ...string) *fire {
	t.Helper()
	f := &fire{
		chain: c, keys: keys, together: 1,
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 1000, DisableCompression: true},
			Timeout:   chaos.Patience(20 * time.Second),
		},
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go f.run(rand.New(rand.NewPCG(seedOf(t), 1)))
	t.Cleanup(func() {
		f.end()
		f.client.CloseIdleConnections()
	})
	return f
}

// An outage is a fault, and the load of the keys that it affects.
type outage struct {
	fire         *fire
	keys         []string
	began, ended time.Time // the fault certainly lasts from one to the other; zero: it does not end
}

// shots returns the shots for the outage's keys that were sent between two times; a zero
// Time is no bound. They must have been answered.
func (o *outage) shots(from, to time.Time) (shots []*shot) {
	for _, one := range o.fire.all() {
		if slices.Contains(o.keys, one.key) && !one.sent.Before(from) && (to.IsZero() || one.sent.Before(to)) {
			shots = append(shots, one)
		}
	}
	return shots
}

// sources counts the sources of the decisions on shots that were sent between two times.
func (o *outage) sources(from, to time.Time) (n map[store.Source]int) {
	n = map[store.Source]int{}
	for _, one := range o.shots(from, to) {
		for _, source := range []store.Source{store.FromStore, store.FromKnowledge, store.FromShare} {
			if one.from(source) {
				n[source]++
			}
		}
	}
	return n
}

// local returns the time from the first call of Redis during the fault to the first local
// decision. Decisions by knowledge need no Redis.
func (o *outage) local() time.Duration {
	var asked time.Time
	for _, one := range o.shots(o.began, o.ended) {
		if asked.IsZero() && !one.from(store.FromKnowledge) {
			asked = one.sent
		}
		if one.from(store.FromShare) {
			return one.end().Sub(asked)
		}
	}
	return time.Hour
}

// back returns how long after a time the last call with a local decision was sent, and false
// if Redis has decided none since.
func (o *outage) back(since time.Time) (after time.Duration, ok bool) {
	last, backend := since, false
	for _, one := range o.shots(since, time.Time{}) {
		switch {
		case one.from(store.FromShare):
			last, backend = one.sent, false
		case one.from(store.FromStore):
			backend = true
		}
	}
	return last.Sub(since), backend
}

// untilBack waits until Redis has decided for a second.
func (o *outage) untilBack(t testing.TB) {
	t.Helper()
	chaos.Until(t, 20*time.Second, "Redis decides again", func() bool {
		now := time.Now()
		n := o.sources(now.Add(-time.Second), now)
		return n[store.FromShare] == 0 && n[store.FromStore] > 0
	})
}

// allowance returns a time limit, extended by the stalls of the machine.
func allowance(limit time.Duration, from, to time.Time) time.Duration {
	return chaos.Patience(limit) + 2*machine().Worst(from, to)
}

// wantLocal notes a lack unless the keys were soon decided locally, and none by Redis during
// the fault.
func (o *outage) wantLocal(b *bout) {
	if local, most := o.local(), allowance(100*time.Millisecond, o.began, o.began.Add(time.Second)); local > most {
		b.lacks("decided locally after %v; want at most %v", local, most)
	}
	if n := o.sources(o.began, o.ended); n[store.FromStore] > 0 || n[store.FromShare] == 0 {
		b.lacks("the sources of decisions during the fault were %v", n)
	}
}

// fates returns, for the key with most of them, the number of calls with an unknown fate:
// Redis may have charged each, and it was decided once more locally.
func (f *fire) fates() (most int) {
	for _, key := range f.keys {
		if key != ledger {
			most = max(most, f.chain.tap.count(func(one trip) bool { return one.key == key && one.unknown }))
		}
	}
	return most
}

// wantAnswered fails the test unless the limiter answered every request in time, and the
// middleware got a decision for each.
func (f *fire) wantAnswered(t testing.TB) {
	t.Helper()
	if n := f.chain.faultCount(); n > 0 {
		t.Errorf("%d errors reached the handler: %v", n, f.chain.faults)
	}
	late := 0
	for _, one := range f.all() {
		if one.status != http.StatusOK && one.status != http.StatusTooManyRequests {
			t.Errorf("a request was answered with %d, %v", one.status, one.err)
		}
		if took, most := one.answered.Sub(one.sent), allowance(budget, one.sent, one.answered); took > most {
			if late++; late <= 3 {
				t.Errorf("a request took %v; want at most %v", took, most)
			}
		}
	}
	if late > 3 {
		t.Errorf("and so did %d more", late-3)
	}
}

// An account is the number of calls of a key, and of its admitted calls.
type account struct {
	offered, admitted int
	bound             int     // the most that the limit permits
	worst             float64 // tokens above the bound in the worst window
}

func (f *fire) account(key string) (a account) {
	var calls []span
	var first, last time.Time
	for _, one := range f.all() {
		if one.key != key {
			continue
		}
		if a.offered++; first.IsZero() {
			first = one.sent
		}
		last = one.end()
		if one.admitted() {
			calls = append(calls, span{one.sent, one.end()})
		}
	}
	a.admitted, a.bound, a.worst = len(calls), int(faultBurst+faultRate*last.Sub(first).Seconds()), worstOver(calls)
	return a
}

// wantExact fails the test unless each key was admitted its limit, of at least twice as many
// calls: at most missing fewer in all, and no more in any window. A stall may permit some
// more: calls that timed out count as undecided, and knowledge ages by a round trip.
func (f *fire) wantExact(t testing.TB, missing int) {
	t.Helper()
	b := &bout{chain: f.chain, fire: f}
	for _, key := range f.keys {
		if key == ledger {
			continue
		}
		a, more := f.account(key), b.aged(key)+float64(f.fates())
		if a.worst > more {
			t.Fail() // a stall never excuses that too much was admitted
		}
		if a.worst > more || a.admitted < a.bound-missing || a.offered < 2*a.bound {
			t.Errorf("key %s: of %d calls %d were admitted, and in one window %.3f too many; want %d, at most %d fewer and in no window %.3f more, of twice as many calls",
				key, a.offered, a.admitted, a.worst, a.bound, missing, more)
		}
	}
}

// report logs the figures of the load and keeps them for the table.
func (f *fire) report(t testing.TB, row, name string) {
	t.Helper()
	figures := f.figures(row, name)
	t.Logf("\n%s\n%v", figuresHead, figures)
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, figures)
}

// figures returns a row of the table for all keys together.
func (f *fire) figures(row, name string) figures {
	all := figures{row: row, name: name, errors: f.chain.faultCount(), classes: named(f.chain.transitions())}
	for _, key := range f.keys {
		if key == ledger {
			continue
		}
		a := f.account(key)
		all.offered, all.admitted, all.bound = all.offered+a.offered, all.admitted+a.admitted, all.bound+a.bound
		all.worst = max(all.worst, a.worst)
	}
	for _, one := range f.all() {
		took := one.answered.Sub(one.sent)
		all.slowest = max(all.slowest, took)
		if took > slow {
			all.slow++
		}
	}
	return all
}

// classes returns the number of failed trips by class.
func (s *tap) classes() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, one := range s.trips {
		if one.class != "" {
			n[one.class]++
		}
	}
	return n
}
