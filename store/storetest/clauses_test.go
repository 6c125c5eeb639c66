package storetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A modelStore is a correct store: the model behind a lock. Its fields make it wrong in
// one way.
type modelStore struct {
	mu    sync.Mutex
	m     *Model
	clock func() int64 // in microseconds

	none   func(r store.Request) (store.Decision, error) // decides without limits
	take   func(s *modelStore, now int64, r store.Request) store.Decision
	reset  func(s *modelStore, now int64, r store.Request)
	settle func(s *modelStore, now int64, t *store.Settlement)
}

func newModelStore() *modelStore {
	start := time.Now()
	return &modelStore{m: NewModel(), clock: func() int64 { return int64(time.Since(start)/time.Microsecond) + 1 }}
}

func (s *modelStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.Settle(ctx, r.Release)
	r.Release = nil
	if len(r.Limits) == 0 || len(r.Limits) > store.MaxLimits {
		return s.without(r)
	}
	if r.Hold == nil && r.Cost > 0 && slices.ContainsFunc(r.Limits, func(l store.Limit) bool { return l.Loan() }) {
		return store.Decision{}, errors.New("no hold")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.take != nil {
		return s.take(s, s.clock(), r), nil
	}
	return s.m.Take(s.clock(), r), nil
}

func (s *modelStore) Settle(_ context.Context, all []store.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range all {
		switch t := &all[i]; {
		case len(t.Limits) == 0 || len(t.Limits) > store.MaxLimits:
			t.Err = errNoLimits
		case s.settle != nil:
			s.settle(s, s.clock(), t)
		default:
			s.m.Settle(s.clock(), t)
		}
	}
}

func (s *modelStore) Holds() bool { return true }

func (s *modelStore) Reset(_ context.Context, r store.Request) error {
	if len(r.Limits) == 0 || len(r.Limits) > store.MaxLimits {
		_, err := s.without(store.Request{Key: r.Key, Limits: r.Limits, Cost: -1})
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reset != nil {
		s.reset(s, s.clock(), r)
		return nil
	}
	s.m.Reset(s.clock(), r)
	return nil
}

// without decides a call without limits; a Reset has cost -1.
func (s *modelStore) without(r store.Request) (store.Decision, error) {
	if s.none != nil {
		return s.none(r)
	}
	return store.Decision{}, errNoLimits
}

var errNoLimits = &store.Error{Class: store.ClassOther, Err: errors.New("no limits"), NotCharged: true}

// bucket returns the model's bucket of the first limit, or nil.
func (s *modelStore) bucket(r store.Request) *modelBucket {
	return s.m.buckets[nameOf(r.Home, r.Key, &r.Limits[0])]
}

// owe makes the bucket of limit i owe d.
func (s *modelStore) owe(now int64, r store.Request, i int, d *big.Rat) {
	if l := &r.Limits[i]; !l.Loan() { // a loan never owes anything
		s.m.open(now, nameOf(r.Home, r.Key, l), l).write(d)
	}
}

// rat returns a debt as a fraction.
func rat(b *store.Limit, d gcra.Debt) *big.Rat {
	f := big.NewRat(int64(d.Frac), int64(b.Denominator()))
	return f.Add(f, new(big.Rat).SetInt64(d.Micros))
}

// renamed returns a single limit with another name, and several limits as they are.
func renamed(p []store.Limit, name func(string) string) []store.Limit {
	if len(p) != 1 {
		return p
	}
	return []store.Limit{newLimit(name(p[0].Name), p[0].Rate)}
}

// newLimit returns a limit that must be valid.
func newLimit(name string, r gcra.Rate) store.Limit {
	l, err := store.NewLimit(name, r)
	if err != nil {
		panic(err)
	}
	return l
}

func constant(s string) func(string) string { return func(string) string { return s } }

// A floatStore computes in floating point.
type floatStore struct {
	*modelStore
	full map[bucketName]float64 // in seconds
}

func (s *floatStore) Take(_ context.Context, r store.Request) (store.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	micros := s.clock()
	now := float64(micros) / 1e6
	d := store.Decision{Allowed: r.Cost >= 0, Now: micros}
	var found, after [store.MaxLimits]float64
	for i := range len(r.Limits) {
		l := &r.Limits[i]
		num, den := l.Interval()
		token := float64(num) / float64(den) / 1e6
		found[i] = min(max(0, s.full[nameOf(r.Home, r.Key, l)]-now), token*float64(l.Burst()))
		after[i] = found[i] + token*float64(r.Cost)
		d.Allowed = d.Allowed && after[i] <= token*float64(l.Burst())
	}
	for i := range len(r.Limits) {
		owed := found[i]
		if d.Allowed {
			owed = after[i]
			s.full[nameOf(r.Home, r.Key, &r.Limits[i])] = now + owed
		}
		d.Debts[i] = asDebt(owed, r.Limits[i].Denominator())
	}
	return d, nil
}

func asDebt(seconds float64, den uint32) gcra.Debt {
	whole, frac := math.Modf(seconds * 1e6)
	return gcra.Debt{Micros: int64(whole), Frac: uint32(frac * float64(den))}
}

// A windowStore counts calls in windows of one period.
type windowStore struct {
	*modelStore
	taken map[string]int
}

func (s *windowStore) Take(_ context.Context, r store.Request) (store.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	b := &r.Limits[0]
	period := b.Capacity().Micros // a window of one refill
	key := fmt.Sprint(r.Key, now/period)
	d := store.Decision{Now: now, Allowed: r.Cost >= 0 && s.taken[key]+r.Cost <= b.Burst()}
	if d.Allowed {
		s.taken[key] += r.Cost
	}
	d.Debts[0], _ = b.Cost(s.taken[key])
	return d, nil
}

// A raceStore reads, yields to other goroutines, and then charges.
type raceStore struct{ *modelStore }

func (s raceStore) Take(_ context.Context, r store.Request) (store.Decision, error) {
	s.mu.Lock()
	d := s.m.Peek(s.clock(), r)
	s.mu.Unlock()
	runtime.Gosched()
	if d.Allowed {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range len(r.Limits) {
			s.owe(d.Now, r, i, rat(&r.Limits[i], d.Debts[i]))
		}
	}
	return d, nil
}

// A busyStore fails when two goroutines call at once.
type busyStore struct {
	*modelStore
	busy sync.Mutex
}

var errBusy = errors.New("busy")

func (s *busyStore) enter() error {
	if !s.busy.TryLock() {
		return errBusy
	}
	runtime.Gosched()
	return nil
}

func (s *busyStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := s.enter(); err != nil {
		return store.Decision{}, err
	}
	defer s.busy.Unlock()
	return s.modelStore.Take(ctx, r)
}

func (s *busyStore) Reset(ctx context.Context, r store.Request) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.busy.Unlock()
	return s.modelStore.Reset(ctx, r)
}

// A retryStore charges a call twice if its context has ended.
type retryStore struct{ *modelStore }

func (s retryStore) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := s.modelStore.Take(ctx, r)
	if ctx.Err() != nil {
		_, _ = s.modelStore.Take(ctx, r)
		return store.Decision{}, ctx.Err()
	}
	return d, err
}

// A control is a wrong store, and the clauses that must find it.
type control struct {
	name    string
	clauses string
	store   func() store.Store
}

func controls() []control {
	// changed returns the model with another Take.
	changed := func(take func(s *modelStore, now int64, r store.Request) store.Decision) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.take = take
			return s
		}
	}
	// asked returns the model with changed requests.
	asked := func(change func(s *modelStore, now int64, r *store.Request)) func() store.Store {
		return changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			change(s, now, &r)
			return s.m.Take(now, r)
		})
	}
	// answered returns the model with changed answers.
	answered := func(change func(r store.Request, d *store.Decision)) func() store.Store {
		return changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			change(r, &d)
			return d
		})
	}
	// knows returns the model with changed knowledge.
	knows := func(change func(s *modelStore, now int64, r *store.Request, i int, k *store.Known)) func() store.Store {
		return asked(func(s *modelStore, now int64, r *store.Request) {
			if r.Known == nil {
				return
			}
			known := *r.Known
			for i := range len(r.Limits) {
				change(s, now, r, i, &known[i])
			}
			r.Known = &known
		})
	}
	// rescaling returns the model with another rule for what a debt under from becomes when
	// the interval changes: tokens of from, and spent by the right rule.
	rescaling := func(rule func(from, spent, debt, tokens *big.Rat, to *terms) *big.Rat) func() store.Store {
		return asked(func(s *modelStore, now int64, r *store.Request) {
			for i := range r.Limits {
				l := &r.Limits[i]
				b, to := s.m.buckets[nameOf(r.Home, r.Key, l)], s.m.termsOf(&l.Rate)
				if b == nil || b.full == nil || b.token.Cmp(to.token) == 0 || to.loan() {
					continue
				}
				from, debt := b.token, new(big.Rat).Sub(b.full, new(big.Rat).SetInt64(now))
				if o := s.m.open(now, nameOf(r.Home, r.Key, l), l); debt.Sign() > 0 && o.spent.Cmp(to.capacity) < 0 {
					o.write(rule(from, o.spent, debt, new(big.Rat).Quo(debt, from), to))
				}
			}
		})
	}
	// keyed returns the model with changed keys.
	keyed := func(key func(string) string) func() store.Store {
		return asked(func(_ *modelStore, _ int64, r *store.Request) { r.Key = key(r.Key) })
	}
	// resets returns the model with another Reset.
	resets := func(reset func(s *modelStore, now int64, r store.Request)) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.reset = reset
			return s
		}
	}
	// without returns the model with other decisions without limits.
	without := func(none func(r store.Request) (store.Decision, error)) func() store.Store {
		return func() store.Store {
			s := newModelStore()
			s.none = none
			return s
		}
	}
	errNone := errors.New("no limits")
	oneByOne := changed(func(s *modelStore, now int64, r store.Request) store.Decision {
		all := store.Decision{Allowed: true, Now: now}
		for i := range r.Limits {
			one := r
			one.Limits, one.Known = r.Limits[i:i+1], nil
			d := s.m.Take(now, one)
			all.Debts[i] = d.Debts[0]
			all.Allowed = all.Allowed && d.Allowed
		}
		return all
	})

	return []control{
		{"admits everything", "BurstThenDenial ProvesItself EveryWindow ConcurrentCalls Model", answered(func(_ store.Request, d *store.Decision) { d.Allowed = true })},
		{"denies everything", "FreshBucketIsFull BurstThenDenial ConcurrentCalls ProvesItself EveryWindow AnyKey", answered(func(_ store.Request, d *store.Decision) { d.Allowed = false })},
		{"starts with a debt", "FreshBucketIsFull Model", asked(func(s *modelStore, now int64, r *store.Request) {
			if s.bucket(*r) == nil {
				s.owe(now, *r, 0, big.NewRat(1, 1))
			}
		})},
		{"charges denials", "DenialChargesNothing Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			if !d.Allowed {
				s.owe(now, r, 0, s.m.termsOf(&r.Limits[0].Rate).capacity)
			}
			return d
		})},
		{"forgets the debt on a denial", "DenialChargesNothing WaitAdmits Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			if !d.Allowed {
				s.m.Reset(now, r)
			}
			return d
		})},
		{"saves tokens up beyond the burst", "RefillToFullOnly", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			var full *big.Rat
			if b := s.bucket(r); b != nil && b.full.Cmp(new(big.Rat).SetInt64(now)) < 0 {
				full = b.full
			}
			d := s.m.Take(now, r)
			if full != nil && d.Allowed && r.Cost > 0 {
				cost := new(big.Rat).SetInt64(int64(r.Cost))
				b := s.bucket(r)
				b.full = cost.Mul(cost, s.m.termsOf(&r.Limits[0].Rate).token).Add(cost, full)
			}
			return d
		})},
		{"charges one token for cost 0", "CostZeroChargesNothing Model", asked(func(_ *modelStore, _ int64, r *store.Request) {
			if r.Cost == 0 {
				r.Cost = 1
			}
		})},
		{"takes the burst for a cost above it", "CostAboveBurst Model", asked(func(_ *modelStore, _ int64, r *store.Request) {
			r.Cost = min(r.Cost, r.Limits[0].Burst())
		})},
		{"gives tokens for a negative cost", "NegativeCost Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			if r.Cost < 0 {
				s.m.Reset(now, r)
			}
			return d
		})},
		{"admits a negative cost", "NegativeCost Model", answered(func(r store.Request, d *store.Decision) { d.Allowed = d.Allowed || r.Cost < 0 })},
		{"charges one token for any cost", "CostsAddUp CostAboveBurst Model", asked(func(_ *modelStore, _ int64, r *store.Request) { r.Cost = min(r.Cost, 1) })},
		{"decides one limit after the other", "SeveralLimitsTogether ConcurrentLimits Model", oneByOne},
		{"has separate buckets for each policy", "SharedLimit Model", asked(func(_ *modelStore, _ int64, r *store.Request) { r.Key += fmt.Sprint(r.Limits) })},
		{"ignores names", "NamesSeparate", asked(func(_ *modelStore, _ int64, r *store.Request) { r.Limits = renamed(r.Limits, constant("x")) })},
		{"ignores the case of names", "NamesSeparate", asked(func(_ *modelStore, _ int64, r *store.Request) { r.Limits = renamed(r.Limits, strings.ToLower) })},
		{"cuts names", "NamesSeparate", asked(func(_ *modelStore, _ int64, r *store.Request) {
			r.Limits = renamed(r.Limits, func(name string) string { return name[:min(len(name), 60)] })
		})},
		{"returns debts in reverse order", "DebtsInOrder SeveralLimitsTogether", answered(func(r store.Request, d *store.Decision) { slices.Reverse(d.Debts[:len(r.Limits)]) })},
		{"returns debts of limits that do not exist", "DebtsInOrder Model", answered(func(r store.Request, d *store.Decision) {
			if len(r.Limits) < len(d.Debts) {
				d.Debts[3] = d.Debts[0]
			}
		})},
		{"admits without limits", "NoLimits", without(func(store.Request) (store.Decision, error) { return store.Decision{Allowed: true}, nil })},
		{"denies without limits", "NoLimits", without(func(store.Request) (store.Decision, error) { return store.Decision{}, nil })},
		{"panics without limits", "NoLimits", without(func(r store.Request) (store.Decision, error) {
			return store.Decision{}, fmt.Errorf("%d", len(r.Limits)+[]int{}[0])
		})},
		{"admits under an empty slice", "NoLimits", without(func(r store.Request) (d store.Decision, err error) {
			if r.Limits == nil {
				err = errNone
			}
			return d, err
		})},
		{"resets without limits", "NoLimits", without(func(r store.Request) (d store.Decision, err error) {
			if r.Cost >= 0 {
				err = errNone
			}
			return d, err
		})},
		{"cuts keys at a NUL", "AnyKey", keyed(func(key string) string { key, _, _ = strings.Cut(key, "\x00"); return key })},
		{"ignores the case of keys", "AnyKey", keyed(strings.ToLower)},
		{"trims keys", "AnyKey", keyed(strings.TrimSpace)},
		{"cuts keys at 64 KiB", "AnyKey", keyed(func(key string) string { return key[:min(len(key), 1<<16)] })},
		{"repairs keys that are not UTF-8", "AnyKey", keyed(func(key string) string { return strings.ToValidUTF8(key, "\ufffd") })},
		{"unquotes keys", "AnyKey", keyed(func(key string) string { return strings.ReplaceAll(key, "%20", " ") })},
		{"joins key and name", "KeyAndNameStaySeparate", asked(func(_ *modelStore, _ int64, r *store.Request) {
			r.Key += "|" + r.Limits[0].Name
			r.Limits = renamed(r.Limits, constant("x"))
		})},
		{"joins key and name without a separator", "KeyAndNameStaySeparate", asked(func(_ *modelStore, _ int64, r *store.Request) {
			r.Key += r.Limits[0].Name
			r.Limits = renamed(r.Limits, constant("x"))
		})},
		{"has a hash of 8 bits", "ManyKeys", keyed(func(key string) string {
			h := fnv.New32()
			_, _ = h.Write([]byte(key))
			return string(rune(h.Sum32() % 256))
		})},
		{"drops buckets to make room", "ManyKeys", asked(func(s *modelStore, _ int64, _ *store.Request) {
			if len(s.m.buckets) > 500 {
				clear(s.m.buckets)
			}
		})},
		{"counts in floating point", "FractionsAreExact ThirdsOfASecond Model", func() store.Store {
			return &floatStore{newModelStore(), map[bucketName]float64{}}
		}},
		{"counts in whole microseconds", "FractionsAreExact ThirdsOfASecond Model", asked(func(_ *modelStore, _ int64, r *store.Request) {
			limits := slices.Clone(r.Limits)
			for i, l := range limits {
				num, den := l.Interval()
				token := time.Duration(max(1, num/uint64(den))) * time.Microsecond
				rate, err := gcra.NewRate(1, token, int(min(int64(l.Burst()), int64(gcra.MaxRefill/token))))
				if err != nil {
					panic(err)
				}
				limits[i] = newLimit(l.Name, rate)
			}
			r.Limits = limits
		})},
		{"returns improper fractions", "FractionsBelowTheDenominator Model", answered(func(r store.Request, d *store.Decision) {
			if d.Debts[0].Micros > 0 {
				d.Debts[0].Micros--
				d.Debts[0].Frac += r.Limits[0].Denominator()
			}
		})},
		{"does not clamp", "LimitLowered Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			b, t := s.bucket(r), s.m.termsOf(&r.Limits[0].Rate)
			if b != nil && b.full != nil && !t.loan() {
				d := new(big.Rat).Sub(b.full, new(big.Rat).SetInt64(now))
				if b.token.Cmp(t.token) != 0 && d.Sign() > 0 && b.token.Sign() > 0 {
					d = rescaled(d, b.token, t.token)
				}
				if d.Cmp(t.capacity) > 0 {
					return store.Decision{Now: now, Debts: [store.MaxLimits]gcra.Debt{parts(d, t.token.Denom())}}
				}
			}
			return s.m.Take(now, r)
		})},
		{"writes nothing on a denial, not even a clamp", "ClampIsStored Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			before := map[bucketName]modelBucket{}
			for name, b := range s.m.buckets {
				before[name] = *b
			}
			d := s.m.Take(now, r)
			if !d.Allowed || r.Cost == 0 {
				for name, b := range before {
					*s.m.buckets[name] = b
				}
			}
			return d
		})},
		{"gives a changed limit a new bucket", "WhatIsUsedStaysUsed LimitLowered SharedLimit", asked(func(_ *modelStore, _ int64, r *store.Request) {
			r.Key += r.Limits[0].String()
		})},
		{"keeps the time of a debt when the limit changes", "WhatIsUsedStaysUsed RestOfAToken Model", rescaling(func(from, _, debt, _ *big.Rat, to *terms) *big.Rat {
			return roundedUp(debt, to.token.Denom())
		})},
		{"drops the rest of a token when the limit changes", "RestOfAToken Model", rescaling(func(_, _, _, tokens *big.Rat, to *terms) *big.Rat {
			return to.times(new(big.Int).Quo(tokens.Num(), tokens.Denom()).Int64())
		})},
		{"rounds a debt up to whole tokens when the limit changes", "RestOfAToken Model", rescaling(func(_, _, _, tokens *big.Rat, to *terms) *big.Rat {
			return to.times(roundedUp(tokens, big.NewInt(1)).Num().Int64())
		})},
		{"rounds the rest of a token down when the limit changes", "RestOfAToken Model", rescaling(func(_, spent, debt, tokens *big.Rat, to *terms) *big.Rat {
			if exact := new(big.Rat).Mul(tokens, to.token); exact.Cmp(spent) < 0 {
				return new(big.Rat).Sub(spent, new(big.Rat).SetFrac(big.NewInt(1), to.token.Denom()))
			}
			return spent
		})},
		{"forgets the debt of before when the limit changes", "TwoLimitsUnderOneName Model", asked(func(s *modelStore, _ int64, r *store.Request) {
			if b := s.bucket(*r); b != nil {
				b.former = nil
			}
		})},
		{"counts what is known under another rate", "KnownOfAnotherRate", knows(func(_ *modelStore, _ int64, r *store.Request, i int, k *store.Known) {
			if !r.Limits[i].Same(k.TAT) {
				k.TAT = gcra.TAT{}
			}
		})},
		{"counts what is known of a bucket whose limit has changed", "KnownOfAnotherRate", knows(func(s *modelStore, now int64, r *store.Request, i int, _ *store.Known) {
			o := s.m.open(now, nameOf(r.Home, r.Key, &r.Limits[i]), &r.Limits[i])
			o.write(o.spent)
		})},
		{"ignores knowledge", "KnownDebtDenies KnownDebtIsCharged KnownOfSeveralLimits UndatedKnowledgeCounts Model", asked(func(_ *modelStore, _ int64, r *store.Request) { r.Known = nil })},
		{"does not store a known debt when it charges", "KnownDebtIsCharged Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Peek(now, r)
			if d.Allowed {
				r.Known = nil
				s.m.Take(now, r)
			}
			return d
		})},
		{"stores a known debt when it denies", "KnownDebtDenies Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			d := s.m.Take(now, r)
			for i := range len(r.Limits) {
				s.owe(now, r, i, rat(&r.Limits[i], d.Debts[i]))
			}
			return d
		})},
		{"prefers a known debt to its own bucket", "KnownLessThanOwn Model", asked(func(s *modelStore, now int64, r *store.Request) {
			if r.Known != nil {
				for i := range len(r.Limits) {
					s.owe(now, *r, i, knownDebt(now, r.Known[i], s.m.termsOf(&r.Limits[i].Rate)))
				}
			}
		})},
		{"does not clamp a known debt", "KnownAboveCapacity Model", changed(func(s *modelStore, now int64, r store.Request) store.Decision {
			if r.Known != nil && r.Limits[0].Capacity().Less(r.Known[0].Debt) {
				return store.Decision{Now: now, Debts: [store.MaxLimits]gcra.Debt{r.Known[0].Debt}}
			}
			return s.m.Take(now, r)
		})},
		{"ignores the known TAT", "KnownDebtAndTAT KnownOfAnotherRate Model", knows(func(_ *modelStore, _ int64, _ *store.Request, _ int, k *store.Known) {
			k.TAT = gcra.TAT{}
		})},
		{"ignores the known debt", "KnownDebtAndTAT Model", knows(func(_ *modelStore, _ int64, _ *store.Request, _ int, k *store.Known) {
			if k.TAT.Den != 0 {
				k.Debt = micros(math.MaxInt64 / 2)
			}
		})},
		{"uses the knowledge of one limit for all", "KnownOfSeveralLimits Model", asked(func(_ *modelStore, _ int64, r *store.Request) {
			if r.Known != nil {
				k := r.Known[0]
				r.Known = &store.Knowledge{k, k, k, k}
			}
		})},
		{"changes the caller's knowledge", "KnownIsOnlyRead", asked(func(_ *modelStore, _ int64, r *store.Request) {
			if r.Known != nil {
				r.Known[0].Debt = micros(min(r.Known[0].Debt.Micros, 1_000_000))
			}
		})},
		{"does not reset", "ResetFills ResetWinsOverOlderKnowledge ConcurrentReset ProvesItself Model", resets(func(*modelStore, int64, store.Request) {})},
		{"resets all keys", "ResetFills Model", resets(func(s *modelStore, now int64, r store.Request) {
			clear(s.m.buckets)
			s.m.Reset(now, r)
		})},
		{"resets all limits of the key", "ResetFills Model", resets(func(s *modelStore, now int64, r store.Request) {
			for name := range s.m.buckets {
				if name.key == r.Key {
					delete(s.m.buckets, name)
				}
			}
			s.m.Reset(now, r)
		})},
		{"forgets the reset", "ResetWinsOverOlderKnowledge ResetInTheSameMicrosecond Model", resets(func(s *modelStore, _ int64, r store.Request) {
			for i := range r.Limits {
				delete(s.m.buckets, nameOf(r.Home, r.Key, &r.Limits[i]))
			}
		})},
		{"counts an observation in the microsecond of a reset as later", "ResetInTheSameMicrosecond", knows(func(_ *modelStore, _ int64, _ *store.Request, _ int, k *store.Known) {
			if k.Seen != 0 {
				k.Seen++
			}
		})},
		{"ignores all knowledge of a bucket after a reset", "LaterKnowledgeCounts UndatedKnowledgeCounts Model", knows(func(s *modelStore, _ int64, r *store.Request, _ int, k *store.Known) {
			if b := s.bucket(*r); b != nil && b.reset != 0 {
				*k = store.Known{}
			}
		})},
		{"ignores knowledge without a date after a reset", "UndatedKnowledgeCounts Model", knows(func(s *modelStore, _ int64, r *store.Request, _ int, k *store.Known) {
			if b := s.bucket(*r); b != nil && b.reset != 0 && k.Seen == 0 {
				*k = store.Known{}
			}
		})},
		{"ignores older knowledge of all keys after a reset of one", "ResetWinsOverOlderKnowledge ResetVoidsNoOtherHolds Model", func() store.Store {
			s := newModelStore()
			last := int64(0)
			resets := func(key string, limits []store.Limit) { // all buckets at that instant
				for i := range limits {
					s.m.open(0, nameOf("", key, &limits[i]), &limits[i]).kept.reset = last
				}
			}
			s.reset = func(s *modelStore, now int64, r store.Request) {
				last = now
				s.m.Reset(now, r)
			}
			s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
				resets(r.Key, r.Limits)
				return s.m.Take(now, r)
			}
			s.settle = func(s *modelStore, now int64, t *store.Settlement) {
				resets(t.Key, t.Limits)
				s.m.Settle(now, t)
			}
			return s
		}},
		{"returns the time in milliseconds", "NowIsTheClock", answered(func(_ store.Request, d *store.Decision) { d.Now = d.Now / 1000 * 1000 })},
		{"returns no time", "NowIsTheClock", answered(func(_ store.Request, d *store.Decision) { d.Now = 0 })},
		{"has a slow clock", "NowIsTheClock RefillToFullOnly WaitAdmits", func() store.Store {
			s := newModelStore()
			clock := s.clock
			s.clock = func() int64 { return clock() / 2 }
			return s
		}},
		{"reads, then writes", "ConcurrentCalls", func() store.Store { return raceStore{newModelStore()} }},
		{"fails when it is busy", "ConcurrentCalls ConcurrentLimits ConcurrentReset", func() store.Store { return &busyStore{modelStore: newModelStore()} }},
		{"charges twice when the context has ended", "CancelledContext", func() store.Store { return retryStore{newModelStore()} }},
		{"counts in windows", "EveryWindow RefillToFullOnly WaitAdmits", func() store.Store {
			return &windowStore{newModelStore(), map[string]int{}}
		}},
	}
}

// TestWrongStoresFail runs the clauses against stores that break them. Each clause must
// find at least one wrong store.
func TestWrongStoresFail(t *testing.T) {
	tested := map[string]bool{"ClockSetBack": true, "HoldsWhenTheClockIsSetBack": true} // by TestClockSetBack
	for _, c := range slices.Concat(controls(), holdControls(), leaseControls()) {
		t.Run(c.name, func(t *testing.T) {
			for name := range strings.FieldsSeq(c.clauses) {
				tested[name] = true
				err := named(t, name).run(t, Harness{New: func(*testing.T) store.Store { return c.store() }, Histories: 400})
				if err == nil {
					t.Errorf("a store that %s passes %s", c.name, name)
				}
			}
		})
	}
	for _, c := range clauses() {
		if !tested[c.name] {
			t.Errorf("no wrong store fails %s", c.name)
		}
	}
}

// named returns a clause.
func named(t *testing.T, name string) clause {
	t.Helper()
	at := slices.IndexFunc(clauses(), func(c clause) bool { return c.name == name })
	if at < 0 {
		t.Fatalf("there is no clause %q", name)
	}
	return clauses()[at]
}

// TestRightStorePasses: the model itself passes, in a bubble and with a steered clock.
func TestRightStorePasses(t *testing.T) {
	t.Run("bubble", func(t *testing.T) {
		Run(t, Harness{New: func(*testing.T) store.Store { return newModelStore() }})
	})
	t.Run("steered", func(t *testing.T) {
		Run(t, steered(func(*modelStore) {}))
	})
}

// steered returns a harness for stores whose clock is set, to the wall clock of a host.
func steered(spoil func(s *modelStore)) Harness {
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	return Harness{
		New: func(*testing.T) store.Store {
			s := newModelStore()
			s.clock = func() int64 { return now }
			spoil(s)
			return s
		},
		Advance: func(_ *testing.T, d time.Duration) { now += int64(d / time.Microsecond) },
		SetBack: func(_ *testing.T, d time.Duration) { now -= int64(d / time.Microsecond) },
	}
}

// TestClockSetBack: the clause finds a store whose time stands still until the clock has
// caught up, one that does not clamp, and one that drops its buckets.
func TestClockSetBack(t *testing.T) {
	for name, spoil := range wrongWhenSetBack {
		if err := named(t, "HoldsWhenTheClockIsSetBack").run(t, steered(spoil)); err == nil {
			t.Errorf("a store that %s passes", name)
		}
	}
	for name, spoil := range map[string]func(s *modelStore){
		"stands still": func(s *modelStore) {
			clock, latest := s.clock, int64(0)
			s.clock = func() int64 { latest = max(latest, clock()); return latest }
		},
		"does not store the clamp": func(s *modelStore) {
			s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
				b := s.bucket(r)
				if b == nil {
					return s.m.Take(now, r)
				}
				before := *b
				d := s.m.Take(now, r)
				if !d.Allowed {
					*b = before
				}
				return d
			}
		},
		"drops its buckets": func(s *modelStore) {
			latest := int64(0)
			s.take = func(s *modelStore, now int64, r store.Request) store.Decision {
				if now < latest {
					clear(s.m.buckets)
				}
				latest = now
				return s.m.Take(now, r)
			}
		},
	} {
		if err := named(t, "ClockSetBack").run(t, steered(spoil)); err == nil {
			t.Errorf("a store that %s passes", name)
		}
	}
}
