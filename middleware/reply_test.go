package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// An item is one of a list field of RFC 9651: a string with two integers.
type item struct {
	name string
	a, b int64 // q and w, or r and t
	us   int64 // keyrate-window-us, 0 if it is not there
}

// parseItems reads a list of the one form that ours have, strictly by RFC 9651.
func parseItems(field, a, b string) ([]item, error) {
	var items []item
	rest := field
	for {
		var it item
		var ok bool
		if rest, ok = strings.CutPrefix(rest, `"`); !ok {
			return nil, fmt.Errorf("%q: no string at %q", field, rest)
		}
		if it.name, rest, ok = strings.Cut(rest, `"`); !ok {
			return nil, fmt.Errorf("%q: the string does not end", field)
		}
		for _, c := range []byte(it.name) {
			if c < ' ' || c > '~' || c == '\\' {
				return nil, fmt.Errorf("%q: %q is not allowed in a string, or must be escaped", field, c)
			}
		}
		for _, p := range []struct {
			key  string
			into *int64
		}{{a, &it.a}, {b, &it.b}} {
			if rest, ok = strings.CutPrefix(rest, ";"+p.key+"="); !ok {
				return nil, fmt.Errorf("%q: no %s at %q", field, p.key, rest)
			}
			digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
			if digits < 1 || digits > 15 || digits > 1 && rest[0] == '0' {
				return nil, fmt.Errorf("%q: no integer at %q", field, rest)
			}
			*p.into, _ = strconv.ParseInt(rest[:digits], 10, 64)
			rest = rest[digits:]
		}
		if after, ok := strings.CutPrefix(rest, ";keyrate-window-us="); ok && a == "q" {
			digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
			if it.us, _ = strconv.ParseInt(after[:digits], 10, 64); it.us < 1 || after[0] == '0' {
				return nil, fmt.Errorf("%q: no integer above 0 at %q", field, after)
			}
			rest = after[digits:]
		}
		items = append(items, it)
		if rest == "" {
			return items, nil
		}
		if rest, ok = strings.CutPrefix(rest, ", "); !ok {
			return nil, fmt.Errorf("%q: more behind an item: %q", field, rest)
		}
	}
}

// A denial is the body of a 429, its fields in their order.
type denial struct {
	Type     string        `json:"type"`
	Title    string        `json:"title"`
	Status   int           `json:"status"`
	Detail   string        `json:"detail"`
	Violated []string      `json:"violated-policies"`
	Limits   []denialLimit `json:"limits"`
	Cost     *int          `json:"cost,omitempty"`
	MaxCost  *int          `json:"max_cost,omitempty"`
	RetryMs  *int64        `json:"retry_after_ms,omitempty"`
}

type denialLimit struct {
	Policy    string `json:"policy"`
	Limit     int    `json:"limit"`
	Period    string `json:"period"`
	Burst     int    `json:"burst,omitempty"`
	Remaining int    `json:"remaining"`
}

// parseDenial reads a body, and checks that an encoder would have written the same.
func parseDenial(body []byte) (d denial, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, err
	}
	var again bytes.Buffer
	enc := json.NewEncoder(&again)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return d, err
	}
	if got := again.String(); got != string(body) {
		return d, fmt.Errorf("the body is\n%s\nand an encoder writes\n%s", body, got)
	}
	return d, nil
}

// wantSeconds returns n*Period/Rate, rounded up to a second, at least 1.
func wantSeconds(l ratelimit.Limit, n int) int64 { return wantUnits(l, n, time.Second) }

// wantMicros returns the window as keyrate-window-us has it, 0 if there is none.
func wantMicros(l ratelimit.Limit) int64 {
	exact, whole := wantUnits(l, l.Burst, time.Microsecond), 1_000_000*wantSeconds(l, l.Burst)
	if whole == exact || 20*(whole-exact) < exact {
		return 0
	}
	return exact
}

// wantUnits returns n*Period/Rate, rounded up to a unit, at least 1.
func wantUnits(l ratelimit.Limit, n int, unit time.Duration) int64 {
	r := big.NewRat(int64(l.Period), int64(unit))
	r.Mul(r, new(big.Rat).SetFrac(big.NewInt(int64(n)), big.NewInt(int64(l.Rate))))
	q, m := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return max(1, q.Int64())
}

// maxInteger is the largest number in a RateLimit field.
const maxInteger = 99_999_999_999_999

// checkResponse checks a response against all that the contract says of one. It
// does not know the state of the buckets, so numbers are held to each other.
func checkResponse(t *testing.T, w *httptest.ResponseRecorder, p *ratelimit.Policy, cost int) {
	t.Helper()
	header := w.Header()
	one := func(name string) string {
		if len(header[name]) != 1 {
			t.Fatalf("%s: %q, want one line", name, header[name])
		}
		return header[name][0]
	}
	integer := func(name string) int64 {
		n, err := strconv.ParseInt(one(name), 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != one(name) {
			t.Fatalf("%s: %q is not an integer", name, one(name))
		}
		return n
	}
	policies, err := parseItems(one(middleware.HeaderPolicy), "q", "w")
	if err != nil {
		t.Fatal(err)
	}
	states, err := parseItems(one(middleware.HeaderRateLimit), "r", "t")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]ratelimit.Limit{}
	for _, l := range p.Limits() {
		byName[l.Name] = l
	}
	if len(policies) != len(byName) || len(states) != len(byName) {
		t.Fatalf("%d policies and %d states of %d limits", len(policies), len(states), len(byName))
	}
	denied := w.Code == http.StatusTooManyRequests
	for i, it := range policies {
		l, ok := byName[it.name]
		delete(byName, it.name)
		if !ok || states[i].name != it.name {
			t.Errorf("item %d is %q and %q", i, it.name, states[i].name)
		}
		if want := min(int64(l.Burst), maxInteger); it.a != want {
			t.Errorf("%v: q=%d, want %d", l, it.a, want)
		}
		if want := wantSeconds(l, l.Burst); it.b != want {
			t.Errorf("%v: w=%d, want %d", l, it.b, want)
		}
		if want := wantMicros(l); it.us != want {
			t.Errorf("%v: keyrate-window-us=%d, want %d", l, it.us, want)
		}
		r, wait := states[i].a, states[i].b
		if r > it.a || wait < 1 {
			t.Errorf("%v: r=%d, t=%d", l, r, wait)
		}
		switch {
		case !denied && r > 0 && r < maxInteger:
			if want := wantSeconds(l, int(r)); wait != want {
				t.Errorf("%v: r=%d, t=%d, want %d", l, r, wait, want)
			}
		case !denied && r == 0 && wait > wantSeconds(l, 1):
			t.Errorf("%v: r=0, t=%d, but a token comes back in %d s", l, wait, wantSeconds(l, 1))
		}
	}
	deciding, _ := byPolicy(p, policies[0].name)
	remaining := integer(middleware.HeaderRemaining)
	if limit := integer(middleware.HeaderLimit); limit != int64(deciding.Burst) || remaining > limit || remaining < 0 {
		t.Errorf("%v: limit %d, remaining %d", deciding, limit, remaining)
	}
	if min(remaining, maxInteger) != states[0].a {
		t.Errorf("remaining %d, r=%d", remaining, states[0].a)
	}
	if !denied {
		for _, name := range []string{middleware.HeaderRetryAfter, middleware.HeaderRetryAfterMs} {
			if header[name] != nil {
				t.Errorf("%s: %q on a response %d", name, header[name], w.Code)
			}
		}
		return
	}

	d, err := parseDenial(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d.Status != 429 || len(d.Limits) != len(p.Limits()) || len(d.Violated) < 1 || d.Violated[0] != policies[0].name {
		t.Errorf("body %s", w.Body)
	}
	possible := true
	for i, l := range d.Limits {
		want, _ := byPolicy(p, policies[i].name)
		burst := l.Burst
		if burst == 0 {
			burst = l.Limit
		}
		// ParseLimit knows the units of a period.
		period, err := ratelimit.ParseLimit("1/" + l.Period)
		if err == nil && (l.Policy != want.Name || l.Limit != want.Rate || burst != want.Burst || period.Period != want.Period) {
			t.Errorf("body has %+v, want %v", l, want)
		}
		possible = possible && cost <= want.Burst
	}
	if !possible {
		if d.Cost == nil || *d.Cost != cost || d.MaxCost == nil || *d.MaxCost >= cost || d.RetryMs != nil ||
			header[middleware.HeaderRetryAfter] != nil || header[middleware.HeaderRetryAfterMs] != nil {
			t.Errorf("a cost of %d can never be admitted, and the response is\n%s", cost, dump(w))
		}
		return
	}
	seconds, ms := integer(middleware.HeaderRetryAfter), integer(middleware.HeaderRetryAfterMs)
	if ms < 1 || seconds != (ms+999)/1000 || states[0].b != seconds || d.RetryMs == nil || *d.RetryMs != ms || d.Cost != nil {
		t.Errorf("Retry-After %d, Retry-After-Ms %d, t=%d, body %s", seconds, ms, states[0].b, w.Body)
	}
}

func byPolicy(p *ratelimit.Policy, name string) (ratelimit.Limit, bool) {
	for _, l := range p.Limits() {
		if l.Name == name {
			return l, true
		}
	}
	return ratelimit.Limit{}, false
}

const (
	maxRate  = min(gcra.MaxRate, math.MaxInt) // an int may have 32 bits
	maxBurst = min(gcra.MaxBurst, math.MaxInt)
)

// extremes are limits at the edges of what a limit can be.
var extremes = []ratelimit.Limit{
	{Rate: 1, Period: time.Microsecond},
	{Rate: maxRate, Period: time.Microsecond, Burst: maxBurst},
	{Rate: maxRate, Period: time.Microsecond, Burst: 1},
	{Rate: 1, Period: gcra.MaxRefill},
	{Rate: gcra.MaxRate - 1, Period: gcra.MaxRefill, Burst: gcra.MaxRate - 1},
	{Rate: 1, Period: gcra.MaxRefill - time.Microsecond},
	{Rate: 1, Period: 1900 * time.Millisecond},
	{Rate: 3, Period: time.Second},
	{Rate: 5, Period: 500 * time.Millisecond},
	{Rate: 700_001, Period: time.Second, Burst: 3},
	{Rate: 3, Period: 10 * time.Second, Burst: 1},
	{Rate: 100_000, Period: time.Second, Burst: 2},
	{Rate: 1, Period: 24 * time.Hour, Burst: 3650},
	{Rate: 7, Period: 7 * 24 * time.Hour},
}

func TestExtremes(t *testing.T) {
	for _, l := range extremes {
		l.Name = strings.Repeat("!", store.MaxName)
		p := policy(t, l)
		for _, cost := range []int{0, 1, l.Burst/2 + 1, l.Burst, math.MaxInt} {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, p, ratelimit.Config{}), middleware.Config{Cost: func(*http.Request) int { return cost }}))(hello)
			for range 3 {
				w := call{}.to(h)
				checkResponse(t, w, p, cost)
				if t.Failed() {
					t.Fatalf("%v, cost %d:\n%s", l, cost, dump(w))
				}
			}
		}
	}
}

// TestWrongStore: whatever a store claims to owe, the answer is no panic.
func TestWrongStore(t *testing.T) {
	for _, debt := range []gcra.Debt{{Micros: -1}, {Micros: -1 << 62}, {Micros: 1 << 62}, {Micros: 1<<63 - 1, Frac: 1<<32 - 1}, {Frac: 1<<32 - 1}} {
		for _, allowed := range []bool{true, false} {
			for _, l := range append([]ratelimit.Limit{five}, extremes...) {
				decision := store.Decision{Allowed: allowed, Debts: [store.MaxLimits]gcra.Debt{debt, debt}}
				p := policy(t, l, ratelimit.PerHour(7).Named("other"))
				h := middleware.Must(middleware.RateLimit(limiterOn(t, selfTimed{wrongStore{decision: decision}}, p, ratelimit.Config{}), quiet(middleware.Config{})))(hello)
				if w := (call{}).to(h); w.Code != http.StatusOK && w.Code != http.StatusTooManyRequests {
					t.Errorf("%v, debt %v: status %d", l, debt, w.Code)
				}
			}
		}
	}
}

// A wrongStore decides as it likes.
type wrongStore struct {
	brokenStore
	decision store.Decision
}

func (s wrongStore) Take(context.Context, store.Request) (store.Decision, error) {
	return s.decision, nil
}

// FuzzResponse: whatever the limits, headers and body are well formed and agree
// with each other.
func FuzzResponse(f *testing.F) {
	for _, l := range extremes {
		f.Add(l.Rate, int64(l.Period/time.Microsecond), l.Burst, "default", 1, uint8(3), false)
		f.Add(l.Rate, int64(l.Period/time.Microsecond), l.Burst, "a<b>&'c'", l.Burst, uint8(3), true)
	}
	f.Add(5, int64(1_000_000), 0, "", 6, uint8(9), true)
	f.Fuzz(func(t *testing.T, rate int, micros int64, burst int, name string, cost int, calls uint8, two bool) {
		if micros < 0 || micros > int64(gcra.MaxRefill/time.Microsecond) || cost < 0 {
			return
		}
		limits := []ratelimit.Limit{{Name: name, Rate: rate, Period: time.Duration(micros) * time.Microsecond, Burst: burst}}
		if two {
			limits = append(limits, ratelimit.PerMinute(7).WithBurst(3).Named("the other"))
		}
		p, err := ratelimit.NewPolicy(limits...)
		if err != nil {
			return
		}
		h := middleware.Must(middleware.RateLimit(newLimiter(t, p, ratelimit.Config{}), middleware.Config{Cost: func(*http.Request) int { return cost }}))(hello)
		for range calls%16 + 1 {
			w := call{}.to(h)
			checkResponse(t, w, p, cost)
			if t.Failed() {
				t.Fatalf("%v, cost %d:\n%s", p.Limits(), cost, dump(w))
			}
		}
	})
}

// TestPoliciesWithoutEnd: a program that makes a policy for every call keeps the
// text of few of them.
func TestPoliciesWithoutEnd(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		return ratelimit.NewPolicy(ratelimit.PerHour(5), ratelimit.PerMinute(5).Named("minute"))
	})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), middleware.Config{}))(hello)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	w, r := &sink{header: http.Header{}}, call{}.request()
	before := heap()
	for range 6000 {
		w.reset()
		h.ServeHTTP(w, r)
	}
	if grew := heap() - before; grew > 4<<20 {
		t.Errorf("6000 policies left %d bytes", grew)
	}
	runtime.KeepAlive(h)
}

// TestManyPolicies: what is kept of one policy is not used for another one, however
// many there are.
func TestManyPolicies(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		n, err := strconv.Atoi(key)
		if err != nil {
			return nil, err
		}
		return ratelimit.NewPolicy(ratelimit.PerHour(n), ratelimit.PerMinute(n).WithBurst(5).Named("k"+key)) // a new one each time
	})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), byKey))(hello)
	for i := range 2500 {
		n := i%1200 + 10
		header := wantStatus(t, h, call{key: strconv.Itoa(n)}, http.StatusOK).Header()
		window, exact, fine := max(1, (5*60+n-1)/n), (5*60_000_000+n-1)/n, ""
		if 20*(window*1_000_000-exact) >= exact {
			fine = fmt.Sprintf(";keyrate-window-us=%d", exact)
		}
		want := fmt.Sprintf(`"k%d";q=5;w=%d%s, "default";q=%d;w=3600`, n, window, fine, n)
		if got := header.Get(middleware.HeaderPolicy); got != want {
			t.Fatalf("policies %s, want %s", got, want)
		}
	}
}
