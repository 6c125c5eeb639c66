package storetest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Seed returns the seed for random runs: the value of the environment variable
// KEYRATE_SEED or, if that is not set, a new one.
func Seed() (uint64, error) {
	s := os.Getenv("KEYRATE_SEED")
	if s == "" {
		return rand.Uint64(), nil
	}
	seed, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("KEYRATE_SEED %q must be an integer, as a failed test prints it", s)
	}
	return seed, nil
}

// A Step is one step of a [History].
type Step struct {
	Wait    time.Duration // the time before it, in whole microseconds; negative: the clock is set back
	Reset   bool          // a Reset of Request.Key and Request.Limits instead of a decision
	Request store.Request
	// Settle, if not nil, is a settlement instead of a decision. Its names are those of Hold.
	Settle *store.Settlement
	// Hold is the number of the hold that a decision makes, if it is admitted, or that is
	// settled; 0 for a settlement of nothing that was held.
	Hold int
	// Releases are the numbers of the holds that the settlements of Request.Release settle.
	Releases []int
}

// Holds reports whether the answer d to the step made a hold. Request.Hold has
// the tokens that are leased.
func (s Step) Holds(d store.Decision) bool {
	switch hold := s.Request.Hold; {
	case hold == nil || !d.Allowed:
		return false
	case hold.Spend && !s.Request.Limits[0].Loan():
		return hold.Leased > 0
	default:
		return s.Request.Cost > 0
	}
}

// String describes the step for the message of a failed test.
func (s Step) String() string {
	what := "take " + strconv.Itoa(s.Request.Cost)
	if s.Request.Least > 0 {
		what += " or at least " + strconv.Itoa(s.Request.Least)
	}
	switch {
	case s.Reset:
		what = "reset"
	case s.Settle != nil:
		what = settling(s.Settle, s.Hold)
	case s.Request.Hold != nil:
		what = fmt.Sprintf("hold %d as %d (spend %v, lease %d)", s.Request.Cost, s.Hold, s.Request.Hold.Spend, s.Request.Hold.Lease)
	}
	for i, hold := range s.Releases {
		what = settling(&s.Request.Release[i], hold) + ", " + what
	}
	text := fmt.Sprintf("after %v: %s of %q under %v", s.Wait, what, s.Request.Home+s.Request.Key, s.Request.Limits)
	if s.Request.Known != nil {
		text += fmt.Sprintf(", knowing %+v", s.Request.Known[:len(s.Request.Limits)])
	}
	return text
}

func settling(t *store.Settlement, hold int) string {
	if t.Renew {
		return fmt.Sprintf("renew hold %d of %d", hold, t.Held)
	}
	return fmt.Sprintf("settle hold %d of %d with %d", hold, t.Held, t.Actual)
}

// DeniedInPart reports whether the answer d denies the call of the step because of some of
// its limits, while others have room. Then none may be charged.
func (s Step) DeniedInPart(d store.Decision) bool {
	full := 0
	for i := range len(s.Request.Limits) {
		if s.Request.Limits[i].RetryAfter(d.Debts[i], s.Request.Cost) > 0 {
			full++
		}
	}
	return !d.Allowed && full > 0 && full < len(s.Request.Limits)
}

// HistoryConfig configures [NewHistory].
type HistoryConfig struct {
	// Prefix begins every key, so that histories can share a store.
	Prefix string
	// Span is the longest time of all steps together. 0 means two hundred years: no instant
	// may come near 2^53 microseconds.
	Span int64 // in microseconds
	// SetBack permits steps that set the clock back.
	SetBack bool
	// Steady uses one limit for each name.
	Steady bool
	// Holds makes steps that hold tokens or lease them, settle them and renew them, and limits
	// that are loans.
	Holds bool
	// Homes puts some keys into homes, whose buckets they share.
	Homes bool
}

// A History makes up steps: limits at the extremes, limits that change, several limits at
// once; costs near the tokens that are left; waits near those that are needed; true, false
// and outdated knowledge. With the same source and the same answers it makes the same
// steps.
type History struct {
	config   HistoryConfig
	rand     *rand.Rand
	left     int64 // of the span
	keys     []string
	homes    []string // of the keys
	policies [][]store.Limit
	seen     []observation
	holds    []Step // that are open
	count    int    // of holds
	last     store.Decision
	now      int64
}

// An observation is the state of one bucket in a decision.
type observation struct {
	key, limit string
	debt       gcra.Debt
	tat        gcra.TAT
	now        int64
}

// twoHundredYears is in microseconds.
const twoHundredYears = 200 * 365 * 24 * int64(time.Hour/time.Microsecond)

// NewHistory returns a history that makes its random choices with src.
func NewHistory(src rand.Source, c HistoryConfig) *History {
	h := &History{config: c, rand: rand.New(src), left: c.Span}
	if h.left == 0 {
		h.left = twoHundredYears
	}
	for i := range 1 + h.rand.IntN(3) {
		h.keys = append(h.keys, fmt.Sprintf("%s%d", c.Prefix, i))
		home := ""
		if c.Homes && h.rand.IntN(4) > 0 {
			home = fmt.Sprintf("%s home %d", c.Prefix, h.rand.IntN(2))
		}
		h.homes = append(h.homes, home)
	}
	names := [store.MaxLimits]string{"default", "b", "c", "d"}
	var variants [store.MaxLimits][]ratelimit.Limit
	for i, name := range names {
		n := 1
		if !c.Steady {
			n += h.rand.IntN(3)
		}
		for range n {
			variants[i] = append(variants[i], h.limit().Named(name))
		}
	}
	for range 1 + h.rand.IntN(5) {
		n := 1
		if h.rand.IntN(2) == 0 {
			n += h.rand.IntN(store.MaxLimits)
		}
		var limits []ratelimit.Limit
		for _, at := range h.rand.Perm(max(n, h.rand.IntN(store.MaxLimits)+1))[:n] {
			limits = append(limits, variants[at][h.rand.IntN(len(variants[at]))])
		}
		p := h.lending(policy(limits...))
		for i := range p {
			p[i].Shared = c.Homes && (p[i].Name == "b" || p[i].Name == "c" || p[i].Name == "at once")
		}
		h.policies = append(h.policies, p)
	}
	return h
}

// lending sometimes adds a loan to a policy, or replaces it by one.
func (h *History) lending(p []store.Limit) []store.Limit {
	if !h.config.Holds || h.rand.IntN(3) > 0 {
		return p
	}
	rate, err := gcra.NewLoan(1 + int(h.upTo(20)))
	loan, nameErr := store.NewLimit("at once", rate)
	if err != nil || nameErr != nil {
		panic(errors.Join(err, nameErr))
	}
	if h.rand.IntN(4) == 0 {
		return []store.Limit{loan}
	}
	return append([]store.Limit{loan}, p[:min(len(p), store.MaxLimits-1)]...)
}

// Next returns the next step.
func (h *History) Next() Step {
	key := h.rand.IntN(len(h.keys))
	r := store.Request{
		Home:   h.homes[key],
		Key:    h.keys[key],
		Limits: h.policies[h.rand.IntN(len(h.policies))],
	}
	b := &r.Limits[h.rand.IntN(len(r.Limits))]
	s := Step{Wait: time.Duration(h.wait(b)) * time.Microsecond, Reset: h.rand.IntN(25) == 0}
	r.Cost = h.cost(b)
	if h.rand.IntN(5) == 0 {
		r.Known = h.knowledge(&r)
	}
	if h.config.Holds && !s.Reset {
		if h.settle(&s) {
			return s
		}
		h.hold(&r, &s)
	}
	s.Request = r
	return s
}

// settle makes s the settlement of an open hold, sometimes.
func (h *History) settle(s *Step) bool {
	if len(h.holds) == 0 || h.rand.IntN(3) > 0 {
		return false
	}
	at := h.rand.IntN(len(h.holds))
	s.Request = h.holds[at].Request
	s.Settle, s.Hold = h.settlement(at)
	return true
}

// settlement makes up the settlement of an open hold or of a part of it, a renewal, or a charge of
// what was never held. It returns the number of the hold as well.
func (h *History) settlement(at int) (t *store.Settlement, hold int) {
	held := &h.holds[at]
	r := &held.Request
	t = &store.Settlement{Home: r.Home, Key: r.Key, Limits: r.Limits, Held: r.Cost}
	b := &t.Limits[h.rand.IntN(len(t.Limits))]
	part := t.Held > 1 && !t.Limits[0].Loan() && h.rand.IntN(3) == 0
	if part {
		t.Held = 1 + int(h.upTo(int64(t.Held)-2))
	}
	switch h.rand.IntN(8) {
	case 0:
	case 1:
		t.Actual = int(h.upTo(int64(t.Held)))
	case 2:
		t.Actual = t.Held / 2
	case 3:
		t.Actual = min(t.Held, 1<<30) + int(h.upTo(int64(min(b.Burst(), 1<<30))))
	case 4:
		t.Actual = int(h.upTo(min(4*int64(b.Burst()), math.MaxInt)))
	default:
		t.Actual = t.Held
	}
	hold = held.Hold
	switch {
	case part:
		r.Cost -= t.Held
	case h.rand.IntN(8) == 0:
		hold, t.Held = 0, 0 // a charge
	case h.rand.IntN(3) == 0:
		t.Renew = true
	default:
		h.holds = append(h.holds[:at], h.holds[at+1:]...)
	}
	return t, hold
}

// hold makes r hold its cost or accept less, take a lease, and settle open holds of its key,
// sometimes.
func (h *History) hold(r *store.Request, s *Step) {
	loan := r.Limits[0].Loan()
	if h.rand.IntN(6) == 0 {
		r.Least = 1 + int(h.upTo(int64(max(r.Cost, 1))))
		if h.rand.IntN(2) == 0 { // more than is there, often
			r.Cost = max(r.Cost, r.Limits[len(r.Limits)-1].Burst())
		}
	}
	if loan || h.rand.IntN(2) == 0 {
		r.Hold = &store.Hold{Spend: h.rand.IntN(2) == 0}
		if h.rand.IntN(2) == 0 {
			r.Hold.Lease = h.lease(&r.Limits[len(r.Limits)-1])
			r.Cost *= h.rand.IntN(2)
		}
		h.count++
		s.Hold = h.count
	}
	for at := len(h.holds) - 1; at >= 0 && len(r.Release) < 2; at-- {
		held := &h.holds[at].Request
		if held.Home != r.Home || held.Key != r.Key || h.rand.IntN(5) > 0 {
			continue
		}
		t, hold := h.settlement(at)
		r.Release, s.Releases = append(r.Release, *t), append(s.Releases, hold)
	}
}

// lease makes up how many tokens to lease.
func (h *History) lease(b *store.Limit) int {
	switch h.rand.IntN(6) {
	case 0:
		return [...]int{-1, math.MinInt, math.MaxInt}[h.rand.IntN(3)]
	case 1:
		return b.Burst()/2 + h.rand.IntN(3) - 1
	case 2, 3:
		return 1 + h.rand.IntN(3)
	default:
		return int(h.upTo(int64(b.Burst())))
	}
}

// Settled informs the history of the answer to a settlement.
func (h *History) Settled(s Step, t store.Settlement) {
	h.last, h.now = store.Decision{Now: t.Now, Debts: t.Debts}, t.Now
}

// Saw informs the history of the answer to a step, at which it aims later steps. Of a lease,
// Request.Hold.Leased is a part of the answer.
func (h *History) Saw(s Step, d store.Decision) {
	h.last, h.now = d, d.Now
	if s.Reset {
		return
	}
	if s.Holds(d) && len(h.holds) < 8 {
		open := Step{Request: s.Request, Hold: s.Hold}
		switch open.Request.Release = nil; {
		case s.Request.Hold.Leased > 0:
			open.Request.Cost = s.Request.Hold.Leased
		case s.Request.Least > 0:
			open.Request.Cost = d.Granted
		}
		h.holds = append(h.holds, open)
	}
	for i := range len(s.Request.Limits) {
		b := &s.Request.Limits[i]
		if len(h.seen) == 32 {
			h.seen = h.seen[16:]
		}
		h.seen = append(h.seen, observation{s.Request.Key, b.Name, d.Debts[i], b.TATAt(d.Debts[i], d.Now), d.Now})
	}
}

// wait makes up the time before a step, in microseconds.
func (h *History) wait(b *store.Limit) int64 {
	token, _ := b.Cost(1)
	var wait int64
	if h.config.Holds {
		switch h.rand.IntN(8) {
		case 0, 1: // about the ends of slots
			wait = [...]int64{300_000, 1_000_000, 2_000_000, 3_000_000, 10_000_000, 20_000_000}[h.rand.IntN(6)] + h.rand.Int64N(3) - 1
			wait = min(wait, h.left)
			h.left -= wait
			return wait
		case 2, 3, 4, 5: // while something is held
			wait = min(h.rand.Int64N(100_000), h.left) * h.rand.Int64N(2)
			h.left -= wait
			return wait
		}
	}
	switch h.rand.IntN(12) {
	case 0, 1, 2:
		return 0
	case 3:
		wait = 1
	case 4, 5: // about a token
		wait = token.Micros + h.rand.Int64N(3) - 1
	case 6, 7: // about the last debt
		wait = h.last.Debts[0].Micros + h.rand.Int64N(3) - 1
	case 8:
		wait = b.Capacity().Micros + h.rand.Int64N(3) - 1
	case 9:
		wait = h.rand.Int64N(b.Capacity().Micros + 1)
	case 10:
		wait = h.rand.Int64N(token.Micros*2 + 2)
	case 11:
		wait = h.upTo(int64(gcra.MaxRefill / time.Microsecond))
		if h.config.SetBack {
			return -wait
		}
	}
	wait = min(max(wait, 0), h.left)
	h.left -= wait
	return wait
}

// cost makes up the cost of a call.
func (h *History) cost(b *store.Limit) int {
	burst := b.Burst()
	switch h.rand.IntN(16) {
	case 0, 1, 2, 3:
		return 1
	case 4:
		return 0
	case 5:
		return burst
	case 6:
		return burst - 1
	case 7:
		return min(burst, math.MaxInt-1) + 1
	case 8:
		return -1
	case 9:
		return [...]int{math.MinInt, math.MaxInt, -burst}[h.rand.IntN(3)]
	case 10, 11: // about the tokens that are left, if the last debt was of this bucket
		d := min(h.last.Debts[0].Micros, b.Capacity().Micros-1)
		return min(b.Remaining(gcra.Debt{Micros: max(d, 0)}), math.MaxInt-1) + h.rand.IntN(3) - 1
	case 12, 13:
		return int(h.upTo(int64(burst)))
	default:
		return 1 + h.rand.IntN(burst)
	}
}

// knowledge makes up what the caller knows about the buckets.
func (h *History) knowledge(r *store.Request) *store.Knowledge {
	var all store.Knowledge
	for i := range len(r.Limits) {
		b := &r.Limits[i]
		k := &all[i]
		choice := h.rand.IntN(6)
		if choice == 0 {
			continue
		}
		if choice < 4 && h.recall(k, b, r.Key) {
			continue
		}
		k.Debt.Micros = h.upTo(2 * (b.Capacity().Micros + 1))
		k.Debt.Frac = h.rand.Uint32N(b.Denominator())
		if h.rand.IntN(2) == 0 {
			k.TAT = b.TATAt(gcra.Debt{Micros: h.upTo(2 * (b.Capacity().Micros + 1)), Frac: h.rand.Uint32N(b.Denominator())}, h.now)
		}
		if h.rand.IntN(2) == 0 && h.now > 0 {
			k.Seen = h.rand.Int64N(h.now + 1)
		}
	}
	return &all
}

// recall sets k to an observation of the bucket, under any limit of that name. It returns
// false if there is none.
func (h *History) recall(k *store.Known, b *store.Limit, key string) bool {
	if len(h.seen) == 0 {
		return false
	}
	from := h.rand.IntN(len(h.seen))
	for i := range h.seen {
		s := &h.seen[(from+i)%len(h.seen)]
		if s.key != key || s.limit != b.Name || !b.Same(s.tat) { // nothing is known of another rate
			continue
		}
		*k = store.Known{Debt: s.debt, TAT: s.tat, Seen: s.now}
		k.Debt.Micros = max(0, k.Debt.Micros-h.rand.Int64N(3)) // a little older
		if h.rand.IntN(4) == 0 {
			k.TAT = gcra.TAT{}
		}
		return true
	}
	return false
}

// upTo returns a number from 0 to n; each order of magnitude is equally likely.
func (h *History) upTo(n int64) int64 {
	if n <= 0 {
		return 0
	}
	bits := 1 + h.rand.IntN(63)
	return h.rand.Int64N(1<<bits-1) % (n + 1)
}

// extremes are limits near and beyond the bounds of other libraries.
var extremes = []ratelimit.Limit{
	{Rate: 1, Period: 1900 * time.Millisecond},
	{Rate: 3, Period: time.Second},
	{Rate: 3, Period: time.Second, Burst: 1},
	{Rate: 7, Period: time.Second, Burst: 100},
	{Rate: 5, Period: 500 * time.Millisecond},
	{Rate: 10, Period: time.Second, Burst: 1000},
	{Rate: 100, Period: time.Second, Burst: 10},
	{Rate: 100_000, Period: time.Second, Burst: 2},
	{Rate: 700_001, Period: time.Second},
	{Rate: 1_000_000, Period: time.Second},
	{Rate: 1, Period: time.Microsecond},
	{Rate: 1, Period: time.Second, Burst: 100},
	{Rate: 1000, Period: time.Hour},
	{Rate: 1, Period: 24 * time.Hour},
	{Rate: 1, Period: gcra.MaxRefill},
	{Rate: 3, Period: gcra.MaxRefill},
	{Rate: 17, Period: 123457 * time.Microsecond, Burst: 5},
	{Rate: maxRate, Period: time.Microsecond},
	{Rate: maxRate, Period: time.Microsecond, Burst: maxBurst},
	{Rate: maxRate, Period: time.Microsecond, Burst: 1},
	{Rate: maxRate - 1, Period: time.Second},
	{Rate: maxRate - 1, Period: gcra.MaxRefill, Burst: 3},
}

// limit makes up a limit.
func (h *History) limit() ratelimit.Limit {
	if h.rand.IntN(3) > 0 {
		return extremes[h.rand.IntN(len(extremes))]
	}
	for {
		l := ratelimit.Limit{
			Rate:   int(1 + h.upTo(maxRate-1)),
			Period: time.Duration(1+h.upTo(int64(gcra.MaxRefill/time.Microsecond)-1)) * time.Microsecond,
			Burst:  int(1 + h.upTo(1<<40)),
		}
		if _, err := ratelimit.NewPolicy(l); err == nil {
			return l
		}
	}
}
