package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// parsed returns the policy of a text.
func parsed(t testing.TB, text string) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// blockedFor returns a policy that is blocked for so long, and then held to limits.
func blockedFor(t testing.TB, d time.Duration, then *ratelimit.Policy) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewBlocked(ratelimit.Block{Until: time.Now().Add(d), Reason: "chargeback"}, then)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestBlockedAsksNoStore: every way to decide a call of a blocked key denies it, whatever it
// costs, also in shadow mode, without a store.
func TestBlockedAsksNoStore(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		for _, policy := range []*ratelimit.Policy{
			ratelimit.Blocked, parsed(t, "blocked;reason=chargeback"), parsed(t, "blocked;until=9999-01-01, 5/s"),
			parsed(t, "blocked;until=9999-01-01, unlimited"), parsed(t, "blocked;until=9999-01-01, 5/s;shadow, 2 at a time"), ratelimit.Blocked.In("acme"),
		} {
			s := newAskedStore()
			l := newLimiterOn(t, s, policy, ratelimit.Config{Shadow: shadow})
			part := with(t, l, ratelimit.PerHour(3).Named("part"))
			check := func(what string, r ratelimit.Result, err error) {
				t.Helper()
				_, block := r.Policy().Block()
				if err != nil || r.Allowed || !r.Blocked() || !block || r.Len() != 0 || r.Remaining() != 0 || r.Granted() != 0 || r.RetryAfter() == 0 || r.WouldDeny() || r.Shadow() || r.Source() != store.NoSource {
					t.Errorf("%v: %s: %+v, %v", policy, what, r, err)
				}
			}
			for _, l := range []*ratelimit.Limiter{l, part, instead(t, l, ratelimit.PerHour(3).Named("other"))} {
				for _, n := range []int{0, 1, 100} {
					r, err := l.AllowN(t.Context(), "k", n)
					check("AllowN", r, err)
					h, err := l.Hold(t.Context(), "k", n)
					check("Hold", h.Result(), err)
					if err := h.Settle(t.Context(), 3); err != nil {
						t.Error(err)
					}
					r, h, err = l.Enter(t.Context(), "k", n)
					if check("Enter", r, err); h != nil {
						t.Errorf("%v: Enter returns a Hold", policy)
					}
				}
				r, err := l.AllowUpTo(t.Context(), "k", 5)
				check("AllowUpTo", r, err)
				r, err = l.Peek(t.Context(), "k")
				check("Peek", r, err)
				if n, err := l.Charge(t.Context(), "k", 5); n != 0 || err != nil {
					t.Errorf("%v: Charge: %d, %v", policy, n, err)
				}
				if err := l.Wait(t.Context(), "k"); !errors.Is(err, ratelimit.ErrBlocked) {
					t.Errorf("%v: Wait: %v", policy, err)
				}
				if n, err := l.WaitInParts(t.Context(), "k", 50); n != 0 || !errors.Is(err, ratelimit.ErrBlocked) {
					t.Errorf("%v: WaitInParts: %d, %v", policy, n, err)
				}
				if parts, err := l.PeekParts(t.Context(), "k"); len(parts) > 0 || err != nil {
					t.Errorf("%v: PeekParts: %v, %v", policy, parts, err)
				}
			}
			if s.asked > 0 {
				t.Errorf("%v: the store was asked %d times", policy, s.asked)
			}
		}
	}
}

// An askedStore is a memstore that counts what it is asked.
type askedStore struct {
	*memstore.Store
	asked int
}

func newAskedStore() *askedStore { return &askedStore{Store: memstore.New(memstore.Config{})} }

func (h *askedStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	h.asked++
	return h.Store.Take(ctx, r)
}

func (h *askedStore) TakeOne(key string, l *store.Limit, n int) (debt gcra.Debt, held int, allowed bool) {
	h.asked++
	return h.Store.TakeOne(key, l, n)
}

func (h *askedStore) HoldOne(key string, l *store.Limit, n int) (name int64, debt gcra.Debt, held int, allowed bool) {
	h.asked++
	return h.Store.HoldOne(key, l, n)
}

func (h *askedStore) Settle(ctx context.Context, s []store.Settlement) {
	h.asked++
	h.Store.Settle(ctx, s)
}

// TestBlockEnds: a block ends by itself, to the microsecond, and what the key had used before
// is as if there had been no block.
func TestBlockEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		then := parsed(t, "3/h, 2 at a time")
		r, h, err := newLimiterOn(t, s, then, ratelimit.Config{}).Enter(t.Context(), "k", 1)
		if h.Release(t.Context()); err != nil || !r.Allowed {
			t.Fatal(r, err)
		}
		time.Sleep(300 * time.Millisecond)
		policy := blockedFor(t, 9500*time.Millisecond, blockedFor(t, time.Second, then)) // which end at whole seconds
		l := newLimiterOn(t, s, policy, ratelimit.Config{})
		part := with(t, l, ratelimit.PerHour(9).Named("part"))
		r, _, err = part.Enter(t.Context(), "k", 1)
		if wait := r.RetryAfter(); err != nil || !r.Blocked() || wait != 9700*time.Millisecond {
			t.Fatalf("%v, %v, %v", r, wait, err)
		}
		time.Sleep(r.RetryAfter() - time.Microsecond)
		if r := peek(t, l, "k"); !r.Blocked() || r.RetryAfter() != time.Microsecond {
			t.Errorf("a microsecond before the end: %v", r)
		}
		time.Sleep(time.Microsecond)
		for range 2 {
			r, h, err := part.Enter(t.Context(), "k", 1)
			if err != nil || !r.Allowed || r.Len() != 3 || r.Blocked() {
				t.Errorf("after the end: %v, %v", r, err)
			}
			h.Release(t.Context())
		}
		if r, _, err := l.Enter(t.Context(), "k", 1); err != nil || r.Allowed || r.Blocked() || r.Limit().Name != "default" {
			t.Errorf("what was used before the block is free: %v, %v", r, err)
		}
		if b, ok := policy.Block(); ok {
			t.Errorf("%v has not ended", b)
		}
		if err := l.Reset(t.Context(), "k"); err != nil || peek(t, l, "k").Allowed == false {
			t.Errorf("Reset: %v", err)
		}
	})
}

// TestBlockedInHome: a blocked policy shares the buckets of its home once the block is over.
func TestBlockedInHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		then := parsed(t, "5/s, 3/h;name=org;shared")
		for _, in := range []bool{false, true} {
			policy := blockedFor(t, time.Minute, then.In("acme"))
			if in {
				policy = blockedFor(t, time.Minute, then).In("acme")
			}
			if policy.Home() != "acme" || policy.In("").Home() != "" || policy.In("").String() != policy.String() {
				t.Fatalf("%v in %q", policy, policy.Home())
			}
			l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return policy, nil }), ratelimit.Config{})
			if r := allow(t, l, "a", 1); !r.Blocked() {
				t.Error(r)
			}
			time.Sleep(time.Minute)
			if n := admitted(t, l, "a", 2) + admitted(t, l, "b", 2); n != 3 {
				t.Errorf("%d were admitted, want the 3 of the organisation", n)
			}
		}
	})
}

// TestBlockText: texts of blocked policies are read back, and faults name what to write.
func TestBlockText(t *testing.T) {
	for _, text := range []string{
		"blocked", "blocked;reason=chargeback 4711", "blocked;until=2026-12-04, 5/s", "blocked;until=2026-12-04T18:00:00Z;reason=x, unlimited",
		"blocked;until=2026-12-04T18:00:00Z, 5/s, 1000/d;name=daily", "blocked;reason=x, 5/s",
		"blocked;until=2026-12-04, blocked;until=2026-12-05, 5/s",
	} {
		p := parsed(t, text)
		if p.String() != text {
			t.Errorf("%q is read as %q", text, p)
		}
		if out, err := json.Marshal(p); err != nil || string(out) != `"`+text+`"` {
			t.Errorf("%q: JSON %s, %v", text, out, err)
		}
	}
	if parsed(t, " blocked ") != ratelimit.Blocked {
		t.Error("blocked is not Blocked")
	}
	if p := parsed(t, "blocked;until=2026-12-04T18:00:00+01:00 ,5/s"); p.String() != "blocked;until=2026-12-04T17:00:00Z, 5/s" {
		t.Errorf("%q", p)
	}
}

func TestBlockTextRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"blocked;until=2026-12-04", "must be followed by the limits from the end of the block on"},
		{"blocked;until=tomorrow, 5/s", "must have a day or an RFC 3339 time"},
		{"blocked;until=2026-12-04;until=2026-12-05, 5/s", "must not give until twice"},
		{"blocked;reason=", "must have a reason"},
		{`blocked;reason=a"b`, "must have a reason"},
		{"blocked;5/s", "its part 2 is neither"},
		{"blocked;", "its part 2 is neither"},
		{"blocked, 5/x", "must have a period"},
		{"5/s, blocked", `must have "blocked" once, in front of the limits`},
		{"0/s", "to stop a key, use ratelimit.Blocked"},
	} {
		p, err := ratelimit.ParsePolicy(test.text)
		if p != nil || len(ratelimit.Faults(err)) == 0 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, %v; want an error with %q", test.text, p, err, test.want)
		}
	}
	if _, err := ratelimit.ParseLimit("blocked;reason=x"); err == nil || !strings.Contains(err.Error(), "is no limit but a policy") {
		t.Error(err)
	}
	var b ratelimit.Block
	if err := b.UnmarshalText([]byte("5/s")); err == nil || b != (ratelimit.Block{}) {
		t.Errorf("%v, %v", b, err)
	}
	if err := b.UnmarshalText([]byte("blocked;reason=x")); err != nil || b.Reason != "x" {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := (ratelimit.Block{Reason: " "}).MarshalText(); err == nil {
		t.Error("a reason of spaces has a text")
	}
}

// TestNewBlockedRefuses: all faults at once.
func TestNewBlockedRefuses(t *testing.T) {
	_, err := ratelimit.NewBlocked(ratelimit.Block{Until: time.Unix(-1, 0), Reason: "a;b"}, nil)
	if faults := ratelimit.Faults(err); len(faults) != 3 {
		t.Errorf("%v", err)
	}
	_, err = ratelimit.NewBlocked(ratelimit.Block{}, new(ratelimit.Policy))
	if faults := ratelimit.Faults(err); len(faults) != 1 || faults[0].Field != "Policy" {
		t.Errorf("%v", err)
	}
}

// TestBlockedIsCounted: as an outcome of its own, and in no report of denials.
func TestBlockedIsCounted(t *testing.T) {
	var seen []ratelimit.Event
	l := newLimiter(t, ratelimit.Blocked, ratelimit.Config{Metrics: true, Observe: func(_ context.Context, e ratelimit.Event) { seen = append(seen, e) }})
	for range 3 {
		allow(t, l, "k", 1)
	}
	r := metrics.Read(l)
	for _, p := range r.Points(metrics.Checks) {
		if want := map[string]float64{"blocked": 3}[p.Labels[0]]; p.Value != want {
			t.Errorf("%v: %v, want %v", p.Labels, p.Value, want)
		}
	}
	if report := l.DenialReport(); report.Denied != 0 || len(report.Keys) > 0 {
		t.Errorf("%+v", report)
	}
	if text, err := json.Marshal(seen[0].Result); err != nil || string(text) != `{"allowed":false,"blocked":true,"source":"none","cost":1,"limits":[]}` {
		t.Errorf("%s, %v", text, err)
	}
}

// TestBlockedAllocates: nothing.
func TestBlockedAllocates(t *testing.T) {
	for _, p := range []*ratelimit.Policy{ratelimit.Blocked, parsed(t, "blocked;until=9999-01-01, 5/s")} {
		l := newLimiter(t, p, ratelimit.Config{})
		if n := testing.AllocsPerRun(100, func() { _, _ = l.Allow(t.Context(), "k") }); n != 0 {
			t.Errorf("%v: %v allocations", p, n)
		}
	}
}

// TestBlocksBehindBlocks: the first block that has not ended counts, and a chain is short, however long a
// text is.
func TestBlocksBehindBlocks(t *testing.T) {
	p, err := ratelimit.ParsePolicy("blocked;until=2001-01-01, blocked;reason=abuse, 5/s")
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := p.Block(); !ok || b.Reason != "abuse" {
		t.Errorf("block %v, %v", b, ok)
	}
	const one = "blocked;until=2999-01-01, "
	if _, err := ratelimit.ParsePolicy(strings.Repeat(one, 8) + "5/s"); err != nil {
		t.Error(err)
	}
	for _, n := range []int{9, 100_000} {
		if _, err := ratelimit.ParsePolicy(strings.Repeat(one, n) + "5/s"); err == nil || !strings.Contains(err.Error(), "at most 8 blocks") {
			t.Errorf("%d blocks: %v", n, err)
		}
	}
}

// TestBlocksThatNeverDeny: of too many blocks, those are left out that end no later than one in front of
// them, and only those.
func TestBlocksThatNeverDeny(t *testing.T) {
	day := func(n int) ratelimit.Block {
		if n == 0 {
			return ratelimit.Block{}
		}
		return ratelimit.Block{Until: time.Date(2990, 1, n, 0, 0, 0, 0, time.UTC)}
	}
	const behind = ", 5/s, 9/h;name=org;shared"
	for _, c := range []struct {
		days []int  // of the ends, the last in front; 0: none
		want string // the days of those that are left, the first in front; "": an error
	}{
		{[]int{9, 9, 9, 9, 9, 9, 9, 9, 9}, "9"},
		{[]int{1, 2, 3, 4, 5, 6, 7, 8, 9}, "9"},
		{[]int{9, 8, 7, 6, 5, 4, 3, 2}, "23456789"},
		{[]int{9, 8, 7, 6, 5, 4, 3, 2, 1}, ""},
		{[]int{9, 8, 7, 6, 5, 4, 3, 2, 0}, "0"},
		{[]int{0, 8, 7, 6, 5, 4, 3, 2, 1}, ""},
		{[]int{0, 8, 7, 6, 5, 4, 3, 3, 2}, "23456780"},
		{[]int{9, 2, 3, 8, 2, 7, 2, 6, 5}, "56789"},
		{[]int{0, 0, 0, 0, 0, 0, 0, 0, 4, 0}, "040"}, // they are not too many
		{[]int{0, 0, 0, 0, 0, 0, 0, 0, 4}, "40"},
	} {
		for _, home := range []string{"", "acme"} {
			p, err := parsed(t, behind[2:]).In(home), error(nil)
			for _, n := range c.days {
				if p, err = ratelimit.NewBlocked(day(n), p); err != nil {
					break
				}
			}
			want := ""
			for _, n := range c.want {
				want += day(int(n-'0')).String() + ", "
			}
			switch {
			case c.want == "" && (err == nil || !strings.Contains(err.Error(), "at most 8 blocks")):
				t.Errorf("%v: %v, %v", c.days, p, err)
			case c.want != "" && (err != nil || p.String() != want+behind[2:] || p.Home() != home || p.In("").String() != p.String()):
				t.Errorf("%v: %v in %q, %v; want %s", c.days, p, p.Home(), err, want)
			}
		}
	}
}
