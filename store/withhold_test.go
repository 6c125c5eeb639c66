package store_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestWithholdForAnotherKey: an error that was made for a key with a prefix is searched again
// for the key without it.
func TestWithholdForAnotherKey(t *testing.T) {
	const key = "sk-12345"
	inner := store.NewError(errors.New("no route for "+key), "tenant7:"+key)
	if text := store.NewError(inner, key).Error(); strings.Contains(text, key) {
		t.Errorf("the key is shown: %s", text)
	}
}

// answering is a foreign store that answers what it is given.
type answering struct{ d store.Decision }

func (a answering) Take(context.Context, store.Request) (store.Decision, error) { return a.d, nil }
func (answering) Reset(context.Context, store.Request) error                    { return nil }

// TestGuardRejects what no correct store answers, and requests that no store decides.
func TestGuardRejects(t *testing.T) {
	limits := testkit.Limits(t, ratelimit.PerSecond(5))
	denied := store.Decision{}
	denied.Debts[0] = limits[0].Capacity()
	for name, wait := range map[string]time.Duration{"negative": -1, "the smallest": math.MinInt64, "beyond any refill": math.MaxInt64 - 1} {
		denied.RetryAfter = wait
		_, err := store.Guard(answering{denied}).Take(t.Context(), store.Request{Key: "k", Limits: limits, Cost: 1, Timeout: time.Second})
		if store.ErrorClass(err) != store.ClassWrong {
			t.Errorf("a wait that is %s: %v; want class wrong", name, err)
		}
	}
	for _, n := range []int{0, 5, 9} {
		many := make([]store.Limit, n)
		for i := range many {
			many[i] = limits[0]
		}
		_, err := store.Guard(answering{}).Take(t.Context(), store.Request{Key: "k", Limits: many, Timeout: time.Second})
		if failed, ok := errors.AsType[*store.Error](err); !ok || !failed.NotCharged {
			t.Errorf("%d limits: %v; want an error that nothing was charged", n, err)
		}
	}
}

// remote embeds a store that is SelfTimed, and is not.
type remote struct{ *memstore.Store }

func (remote) Take(_ context.Context, r store.Request) (store.Decision, error) {
	panic("no route for " + r.Key)
}

// TestGuardOfAnEmbeddedStore: methods that a type inherits by embedding promise nothing for it.
func TestGuardOfAnEmbeddedStore(t *testing.T) {
	l, err := ratelimit.New(remote{memstore.New(memstore.Config{})}, ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Allow(t.Context(), "k"); store.ErrorClass(err) != store.ClassPanic {
		t.Errorf("%v; want class panic", err)
	}
}
