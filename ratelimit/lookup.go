package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// compile checks the limits, and compiles them once if all keys have the same.
func (l *Limiter) compile() error {
	switch limits := l.limits.(type) {
	case Limit:
		p, err := NewPolicy(limits)
		l.policy = p
		return err
	case *Limit:
		if limits == nil {
			break
		}
		l.limits = *limits
		return l.compile()
	case *Table:
		if limits != nil && limits.current.Load() == nil {
			return errZeroTable
		}
	case *Cache:
		if limits != nil && limits.limits == nil {
			return errZeroCache
		}
	case *Policy:
		if err := checkPolicy(limits); err != nil {
			return err
		}
		l.policy = limits
	}
	if isNil(l.limits) {
		return &LimitError{Field: "limits", Value: "nil", Want: "must be given, such as ratelimit.PerSecond(5)"}
	}
	return nil
}

// policyFor looks the key's policy up and refuses one that cannot be used.
func (l *Limiter) policyFor(ctx context.Context, key string) (p *Policy, err error) {
	if l.policy != nil {
		return l.policy, nil
	}
	if l.record == nil {
		return nil, errZeroLimiter
	}
	defer func() {
		if err != nil {
			l.lookups.Add(1)
		}
	}()
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, &LimitError{Field: "PolicyFor", Want: "must return a policy or an error", Err: newPanicError(v)}
		}
	}()
	if p, err = l.limits.PolicyFor(ctx, key); err != nil {
		want := "must return a policy"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			want = fmt.Sprintf("must return a policy within Config.Timeout, here %v, or an earlier deadline of the caller", l.timeout)
		}
		return nil, &LimitError{Field: "PolicyFor", Want: want, Err: withoutKey(err, key)}
	}
	if err := checkPolicy(p); err != nil {
		return nil, err
	}
	if l.lookups.Load() != 0 {
		l.lookups.Store(0)
	}
	return p, nil
}

func isSelfTimed(v any) bool {
	_, ok := v.(SelfTimed)
	return ok
}

// isNil tells whether an interface holds nothing, or a nil pointer or function.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Interface:
		return r.IsNil()
	default:
		return false
	}
}
