package chaos_test

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestHolderKilled: a process with 1,000 open holds is killed. Within two lengths of their
// class, what it held is free and its estimates are charged. The holds of another process
// stay as they are.
func TestHolderKilled(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup // of subtests, which wait for most of their time
	for _, class := range []struct {
		name   string
		renew  bool
		length time.Duration
	}{
		{"short", false, time.Second}, {"long", true, 10 * time.Second},
	} {
		all.Go(func() { t.Run(class.name, func(t *testing.T) { killHolder(t, class.renew, class.length) }) })
	}
	all.Wait()
}

// killHolder kills a process whose holds are of a class of this length.
func killHolder(t *testing.T, renew bool, length time.Duration) {
	t.Helper()
	const each, cost, mine = 100, 7, 5
	server := chaos.StartServer(t)
	limits := []ratelimit.Limit{countable, calls(each + mine)}
	l, err := ratelimit.New(patientStore(t, server), testkit.Policy(t, limits...), ratelimit.Config{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	backend, p, keys := patientStore(t, server), policyOf(t, limits...), keysNamed("key", 10)
	var others [][]*ratelimit.Hold
	for _, key := range keys {
		var all []*ratelimit.Hold
		for range mine {
			h, err := l.Hold(t.Context(), key, cost)
			if err != nil || !h.Result().Allowed {
				t.Fatalf("%+v, %v; want a hold", h.Result(), err)
			}
			all = append(all, h)
		}
		others = append(others, all)
	}
	process := startHolder(t, holder{Addr: server.Addr, Limits: limits, Keys: keys, Cost: cost, Open: each, Renew: renew})
	if line, err := process.next(); err != nil || line != "holding" {
		t.Fatalf("the holder said %q, %v:\n%s", line, err, &process.output)
	}
	before := take(t, backend, keys[0], p, 0) // its holds may begin to end here
	process.kill(t)
	killed := time.Now()
	if n := before.Held[1]; renew && n != each+mine || n > each+mine {
		t.Errorf("%d calls are running before the kill; want %d", n, each+mine)
	}
	if h, err := l.Hold(t.Context(), keys[0], cost); renew && (err != nil || h.Result().Allowed) {
		t.Errorf("right after the kill: %+v, %v; want a denial", h.Result(), err)
	}
	left := 2*length - time.Since(killed)
	if renew { // they were renewed less than a third of their length before
		time.Sleep(left - length - 5*time.Second)
		wantHeld(t, backend, keys[1], p, (each+mine)*cost, each+mine)
		left = 2*length - time.Since(killed)
	}
	time.Sleep(left + time.Millisecond)
	for i, key := range keys {
		d := take(t, backend, key, p, 0)
		if d.Held[0] != mine*cost || d.Held[1] != mine || owed(d, 0) != each*cost {
			t.Errorf("%s: two lengths after the kill %d tokens and %d calls are held, and %d tokens charged; want %d, %d and %d",
				key, d.Held[0], d.Held[1], owed(d, 0), mine*cost, mine, each*cost)
		}
		for _, h := range others[i] {
			if err := h.Settle(t.Context(), 2); err != nil {
				t.Error(err)
			}
		}
		d = take(t, backend, key, p, 0)
		if d.Held != [store.MaxLimits]int{} || owed(d, 0) != each*cost+mine*2 {
			t.Errorf("%s: at the end %v are held and %d tokens charged; want none and %d", key, d.Held[:2], owed(d, 0), each*cost+mine*2)
		}
	}
}

// TestKills: processes that hold, spend and settle are killed again and again. In no window
// more is spent than the limit permits, and at no instant more calls are running.
func TestKills(t *testing.T) {
	const processes, keys = 4, 2
	kills := full(3, 25) // of each process
	seed := seedOf(t)
	server := chaos.StartServer(t)
	limit := ratelimit.PerSecond(150).WithBurst(200)
	limits := []ratelimit.Limit{limit, calls(12)}
	names := keysNamed("key", keys)
	var mu sync.Mutex
	var lives []life
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			for k := range kills {
				p := startHolder(t, holder{Addr: server.Addr, Limits: limits, Keys: names, Cost: 10, Busy: 8, Seed: seed + uint64(i*kills+k)})
				var lines []string
				for range 50 + 37*(i+k)%200 { // until it has worked for a while
					line, err := p.next()
					if err != nil {
						t.Errorf("%v:\n%s", err, &p.output)
						return
					}
					lines = append(lines, line)
				}
				lines = append(lines, p.kill(t)...)
				killed := time.Now().UnixMicro()
				mu.Lock()
				lives = append(lives, livesOf(t, lines, killed)...)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	backend, p := patientStore(t, server), policyOf(t, limits...)
	open := 0
	for key := range keys {
		w := newWindows(limit)
		spent := 0
		var ends []life
		for _, l := range lives {
			if l.key != key {
				continue
			}
			if l.spent > 0 {
				w.add(l.at, l.spent)
				spent += l.spent
			}
			if !l.ended {
				open++
			}
			ends = append(ends, l)
		}
		w.check(t, names[key])
		most := mostAtOnce(ends)
		t.Logf("%s: %d holds, %d tokens spent, %d calls at once at most; %d can be spent in the time", names[key], len(ends), spent, most, w.ideal(w.calls[len(w.calls)-1].At))
		if most > 12 || most < 9 {
			t.Errorf("%s: %d calls were running at once; want 12 at most, and nearly as many for a proof", names[key], most)
		}
		if spent < 100 || len(ends) < 50 {
			t.Errorf("%s: %d holds spent %d tokens: too few for a proof", names[key], len(ends), spent)
		}
	}
	if open < processes*kills {
		t.Errorf("%d holds were open at %d kills: too few for a proof", open, processes*kills)
	}
	time.Sleep(2 * shortHold)
	for _, name := range names {
		wantHeld(t, backend, name, p, 0, 0)
	}
}

// A life is a hold of a process that was killed later.
type life struct {
	key      int
	from, to int64 // when it surely was held, on Redis' clock
	spent    int
	at       int64 // when
	ended    bool  // before the kill, and with an answer
}

// livesOf returns the holds in the output of a holder. One without an end was held until the
// kill, if it was not ending.
func livesOf(t *testing.T, lines []string, killed int64) []life {
	t.Helper()
	byID := map[int]*life{}
	for _, line := range lines {
		var s spending
		if _, err := fmt.Sscanf(line, "%s %d %d %d %d", &s.Kind, &s.Key, &s.ID, &s.At, &s.N); err != nil {
			continue // the last line may be cut off
		}
		l := byID[s.ID]
		if l == nil {
			l = &life{}
			byID[s.ID] = l
		}
		switch s.Kind {
		case "got":
			*l = life{key: s.Key, from: s.At, to: min(killed, s.At+shortHold.Microseconds())}
		case "spent":
			l.spent, l.at = s.N, s.At
		case "ending":
			l.to = min(l.to, s.At)
		case "ended":
			l.to, l.ended = min(s.At, l.from+shortHold.Microseconds()), true
		}
	}
	var all []life
	for _, l := range byID {
		all = append(all, *l)
	}
	return all
}

// mostAtOnce returns how many holds there were at most at one instant.
func mostAtOnce(all []life) (most int) {
	type change struct {
		at int64
		by int
	}
	var changes []change
	for _, l := range all {
		changes = append(changes, change{l.from, 1}, change{max(l.to, l.from), -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	n := 0
	for _, c := range changes {
		n += c.by
		most = max(most, n)
	}
	return most
}
