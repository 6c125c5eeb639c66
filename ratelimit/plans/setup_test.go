package plans_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func newLimiter(t testing.TB, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func policyOf(t testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(t testing.TB, l *ratelimit.Limiter, key string, n int) *ratelimit.Result {
	t.Helper()
	r, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func peek(t testing.TB, l *ratelimit.Limiter, key string) *ratelimit.Result {
	t.Helper()
	r, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

// admitted returns how many of n calls of cost 1 are admitted now.
func admitted(t testing.TB, l *ratelimit.Limiter, key string, n int) (admitted int) {
	t.Helper()
	for range n {
		if allow(t, l, key, 1).Allowed {
			admitted++
		}
	}
	return admitted
}

// fields returns the faulty fields that err names, in order.
func fields(err error) string {
	var names []string
	for _, fault := range ratelimit.Faults(err) {
		names = append(names, fault.Field)
	}
	return strings.Join(names, " ")
}

var errDown = errors.New("the backend is down")

// keyError is an error of a look-up that shows the key.
type keyError struct{ Key string }

func (e keyError) Error() string { return "no such key: " + e.Key }
