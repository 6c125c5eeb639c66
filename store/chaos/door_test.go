package chaos_test

import (
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// door returns a limiter with a store of its own on a server, as a program has it.
func door(t testing.TB, at any, limits ...ratelimit.Limit) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(patientStore(t, at), testkit.Policy(t, limits...), ratelimit.Config{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ask(t testing.TB, l *ratelimit.Limiter, key string, n int) ratelimit.Result {
	t.Helper()
	r, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Error(err)
	}
	return r
}

// askAll calls until a call is denied and returns the number of admitted calls.
func askAll(t testing.TB, l *ratelimit.Limiter, key string) int {
	t.Helper()
	n := 0
	for ask(t, l, key, 1).Allowed {
		n++
	}
	return n
}

func wantInt(t testing.TB, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%d were admitted; want %d", got, want)
	}
}
