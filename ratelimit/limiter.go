package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/count"
	"github.com/keyrate/keyrate/store"
)

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// Timeout is how long one decision may take, the look-up of the key's limits
	// and the store's answer together. 0 means [store.DefaultTimeout].
	Timeout time.Duration
	// Shadow makes the limiter decide, charge and report as usual, but admit every call: see
	// [Result.Shadow]. Use it to watch limits before they are enforced; for single limits
	// there is [Limit.Shadow]. A key that is blocked stays so: a [Block] is no limit.
	Shadow bool
	// ShadowKeys is how many keys [Limiter.ShadowReport] reports, at most
	// 100,000. 0 means 100. A key counts once for each limit that
	// would have denied it, and takes 160 to 180 bytes.
	ShadowKeys int
	// RetryHint is how long a caller should wait that is denied by calls in progress: because
	// of a limit on concurrent calls, or of tokens that are held. When they end is not known,
	// so the wait is RetryHint, but at least until what was spent leaves room, and at most
	// until the call fits beside all that is held. 0 means a second.
	RetryHint time.Duration
	// Metrics makes the limiter count what it decides: see package metrics for what, and for
	// how to export it, and [Limiter.DenialReport] for the keys that it denies. A decision in
	// memory takes some 25 ns longer.
	Metrics bool
	// Observe, if not nil, is called after each decision of Allow, AllowN, AllowUpTo, Hold,
	// Enter, Wait, WaitN and WaitInParts; the last three may have to decide several
	// times. It is not called for Peek, PeekN and Charge. It gets the context of the call and
	// runs on its goroutine: it must be quick, and safe for concurrent use. If it panics, the
	// decision stands and Check warns.
	Observe func(context.Context, Event)
}

// A Limiter decides whether a key may call now: it looks up the policy of the key and asks
// the store. It is safe for concurrent use. Only one that made a [Hold] has something to
// close, with [Limiter.Close]. Make one with [New]; the zero Limiter answers every call with an error.
type Limiter struct {
	store   store.Store // origin, guarded if need be
	origin  store.Store
	limits  Limits
	policy  *Policy // the only one, if limits are the same for all keys
	timeout time.Duration
	hint    time.Duration
	shadow  bool
	observe func(context.Context, Event)
	counts  *count.Counts // nil without Config.Metrics
	*record
	parts *registry // made from this one with With or Instead

	holder    store.Holder      // the store, if it can hold tokens
	single    store.SingleTaker // the store, if it is one
	held      store.SingleHolder
	leased    store.LeaseTaker // the store, if it is one
	selfTimed bool             // neither store nor limits need a deadline on the context
	plain     bool             // and there is no observer
	short     bool             // and all keys have one limit, that single decides
	shortHold bool             // or held does
	counted   bool             // short, but the calls are counted, in series
	series    *count.Series
	door      *Limiter // what this was made from by AtDoor, or nil
}

// A record is what a limiter remembers, and shares with those made from it.
type record struct {
	panics  atomic.Int64 // of observe
	lookups atomic.Int64 // of limits, that failed since the last one that did not
	proofs  proofs       // of Check
	report  watched
	denials denials

	renewals renewals // of holds
	lockouts lockouts
}

var errZeroLimiter = &LimitError{Field: "Limiter", Value: "zero value", Want: "must be made with ratelimit.New, whose error says what is wrong"}

// New returns a limiter that keeps its buckets in s and holds each key to what limits
// say. Limiters on one store share the bucket of a key and a limit's name. Where that is
// not meant, name the limits, as in PerMinute(2).Named("export"); Check warns of limits
// that differ under one name. New does no I/O and starts nothing. The error joins all
// faults of its arguments.
func New(s store.Store, limits Limits, c Config) (*Limiter, error) {
	l := &Limiter{store: s, origin: s, timeout: c.Timeout, hint: c.RetryHint, shadow: c.Shadow, observe: c.Observe, record: new(record), parts: new(registry)}
	var faults []error
	if store.IsNil(s) {
		faults = append(faults, errors.New("ratelimit: store is nil; pass one, such as memstore.New(memstore.Config{})"))
	} else if err := validate(s); err != nil {
		faults = append(faults, err)
	} else if l.store = store.Guard(s); store.CanHold(l.store) {
		l.holder, _ = l.store.(store.Holder)
	}
	if err := l.setLimits(limits); err != nil {
		faults = append(faults, err)
	} else if !store.IsNil(s) {
		faults = append(faults, l.rejectKnown()...)
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("ratelimit: Config.Timeout %v must not be negative; 0 means %v", c.Timeout, store.DefaultTimeout))
	}
	if c.RetryHint < 0 {
		faults = append(faults, fmt.Errorf("ratelimit: Config.RetryHint %v must not be negative; 0 means %v", c.RetryHint, defaultRetryHint))
	}
	if c.ShadowKeys < 0 || c.ShadowKeys > maxShadowKeys {
		faults = append(faults, fmt.Errorf("ratelimit: Config.ShadowKeys %d must be from 0 to %d; 0 means %d", c.ShadowKeys, maxShadowKeys, defaultShadowKeys))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if l.timeout == 0 {
		l.timeout = store.DefaultTimeout
	}
	if l.hint == 0 {
		l.hint = defaultRetryHint
	}
	if c.Metrics {
		l.counts = new(count.Counts)
		l.denials.top.Max = deniedKeys
	}
	l.report.since = time.Now()
	l.lockouts.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	if l.report.denials.Max = c.ShadowKeys; c.ShadowKeys == 0 {
		l.report.denials.Max = defaultShadowKeys
	}
	l.renewals.holder, l.renewals.timeout = l.holder, l.timeout
	l.single, _ = l.store.(store.SingleTaker)
	if l.single != nil {
		l.held, _ = l.store.(store.SingleHolder)
	}
	l.leased, _ = l.store.(store.LeaseTaker)
	_, selfTimed := l.limits.(store.SelfTimed)
	l.selfTimed = selfTimed || l.policy != nil
	l.plan()
	if l.usual() != nil {
		limiters.add(l)
	}
	return l, nil
}

// defaultRetryHint is the Config.RetryHint of a zero Config.
const defaultRetryHint = time.Second

// plan finds the shortest way of a decision. It is for a limiter whose policy is known.
func (l *Limiter) plan() {
	unseen := l.selfTimed && l.observe == nil
	l.plain = unseen && l.counts == nil
	p := l.policy
	one := unseen && l.single != nil && !l.shadow && p != nil && len(p.limits) == 1 && p.block == nil && !p.locking && p.phases == nil && !p.shared && p.home == ""
	l.short, l.shortHold = l.plain && one && !p.loans, l.plain && one && l.held != nil
	if l.counted = !l.plain && one && !p.loans; l.counted {
		l.series = l.counts.Of(p.names)
	}
}

// Holds reports whether the store can hold tokens: see [store.Holder].
func (l *Limiter) Holds() bool { return l.holder != nil }

// Close ends the renewal of holds, for which a timer runs while some are out. It ends no hold:
// those that are out last until their time is over, and are charged then, or until they are
// settled. Decisions go on. Close waits for renewals in flight, Config.Timeout at most. It is for the limiter, and for all that were made from it with
// With or Instead.
func (l *Limiter) Close() {
	if l.record != nil {
		l.renewals.close()
	}
}
