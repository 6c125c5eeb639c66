package chaos_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
)

// startFireAt is startFire for keys of the test's choice.
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

// An outage is a fault, and the load for those keys that it is about.
type outage struct {
	fire         *fire
	keys         []string
	began, ended time.Time // the fault is certainly there, from one to the other; zero: it goes on
}

// shots returns those for the outage's keys that left from one instant to another; the
// zero Time is without bound. They must have been answered.
func (o *outage) shots(from, to time.Time) (shots []*shot) {
	for _, one := range o.fire.all() {
		if slices.Contains(o.keys, one.key) && !one.sent.Before(from) && (to.IsZero() || one.sent.Before(to)) {
			shots = append(shots, one)
		}
	}
	return shots
}

// sources counts who decided what left from one instant to another.
func (o *outage) sources(from, to time.Time) (n map[ratelimit.Source]int) {
	n = map[ratelimit.Source]int{}
	for _, one := range o.shots(from, to) {
		for _, source := range []ratelimit.Source{ratelimit.FromStore, ratelimit.FromKnowledge, ratelimit.FromShare} {
			if one.from(source) {
				n[source]++
			}
		}
	}
	return n
}

// local returns how long it took until a call was decided here, from when Redis was
// asked for the first time during the fault: what is known needs no Redis.
func (o *outage) local() time.Duration {
	var asked time.Time
	for _, one := range o.shots(o.began, o.ended) {
		if asked.IsZero() && !one.from(ratelimit.FromKnowledge) {
			asked = one.sent
		}
		if one.from(ratelimit.FromShare) {
			return one.end().Sub(asked)
		}
	}
	return time.Hour
}

// back returns how long after an instant the last call left that was decided here, and
// false if none was decided by Redis since.
func (o *outage) back(since time.Time) (after time.Duration, ok bool) {
	last, store := since, false
	for _, one := range o.shots(since, time.Time{}) {
		switch {
		case one.from(ratelimit.FromShare):
			last, store = one.sent, false
		case one.from(ratelimit.FromStore):
			store = true
		}
	}
	return last.Sub(since), store
}

// untilBack waits until Redis has decided for a second.
func (o *outage) untilBack(t testing.TB) {
	t.Helper()
	chaos.Until(t, 20*time.Second, "Redis decides again", func() bool {
		now := time.Now()
		n := o.sources(now.Add(-time.Second), now)
		return n[ratelimit.FromShare] == 0 && n[ratelimit.FromStore] > 0
	})
}

// allowance is a limit of time, with what the machine itself took at that time.
func allowance(limit time.Duration, from, to time.Time) time.Duration {
	return chaos.Patience(limit) + 2*machine().Worst(from, to)
}

// wantLocal has the bout lack something unless the keys were decided here soon, and by
// Redis never as long as the fault was there.
func (o *outage) wantLocal(b *bout) {
	if local, most := o.local(), allowance(100*time.Millisecond, o.began, o.began.Add(time.Second)); local > most {
		b.lacks("decided here after %v; want at most %v", local, most)
	}
	if n := o.sources(o.began, o.ended); n[ratelimit.FromStore] > 0 || n[ratelimit.FromShare] == 0 {
		b.lacks("during the fault decisions were founded on %v", n)
	}
}

// fates returns how many calls of one key there were at most whose fate is not known:
// Redis may have charged each of them, and here it was decided once more.
func (f *fire) fates() (most int) {
	for _, key := range f.keys {
		if key != ledger {
			most = max(most, f.chain.tap.count(func(one trip) bool { return one.key == key && one.unknown }))
		}
	}
	return most
}

// wantAnswered fails the test unless every request had an answer of the limiter's, in
// time, and the middleware never had to do without a decision.
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

// An account is what a key was offered and admitted.
type account struct {
	offered, admitted int
	bound             int     // what the limit permits
	worst             float64 // by how many tokens the worst of all windows is above its bound
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

// wantExact fails the test unless each key was admitted its limit, in no window more
// and in all at most missing fewer, of twice as many calls. More is what a stall of the
// machine costs: calls that ran out of time, and what is known ages by a trip.
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

// report is that of a bout.
func (f *fire) report(t testing.TB, row, name string) {
	t.Helper()
	figures := f.figures(row, name)
	t.Logf("\n%s\n%v", figuresHead, figures)
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, figures)
}

// figures tells of the keys together, as a row of the table.
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

// classes counts the errors of trips.
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
