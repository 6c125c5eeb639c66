package chaos_test

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Naive stores, for the controls: each has a fault that the tests must find.

// readThenWrite reads the bucket from Redis, decides locally and writes it back. What others
// write in between is lost.
type readThenWrite struct{ client redis.UniversalClient }

func (s readThenWrite) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	text, err := s.client.Get(ctx, "naive:"+r.Key).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // it is never wrapped
		return d, err
	}
	now, err := s.client.Time(ctx).Result()
	if err != nil {
		return d, err
	}
	b := &r.Limits[0]
	full, _ := strconv.ParseInt(text, 10, 64)
	d.Now = now.UnixMicro()
	d.Debts[0], _ = b.DebtAt(gcra.TAT{Micros: full, Den: b.Denominator()}, d.Now)
	cost, ok := b.Cost(r.Cost)
	after := b.Add(d.Debts[0], cost)
	if !ok || !b.Fits(after) {
		return d, nil
	}
	d.Allowed, d.Debts[0] = true, after
	return d, s.client.Set(ctx, "naive:"+r.Key, b.TATAt(after, d.Now).Micros, after.Duration()+time.Second).Err()
}

func (s readThenWrite) Reset(ctx context.Context, r store.Request) error {
	return s.client.Del(ctx, "naive:"+r.Key).Err()
}

// retrying calls again without an answer, although the call may have been charged.
type retrying struct{ store.Store }

func (s retrying) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	for range 5 {
		if d, err = s.Store.Take(ctx, r); err == nil {
			return d, nil
		}
	}
	return d, err
}

// clientClock decides by the clock of the client, which differs from host to host.
type clientClock struct {
	client redis.UniversalClient
	ahead  time.Duration
}

var clientClockScript = redis.NewScript(`
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
local now, cost, capacity = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local after = math.max(tat, now) + cost
if after - now > capacity then
	return 0
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', 60000)
return 1`)

func (s clientClock) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	b := &r.Limits[0]
	cost, _ := b.Cost(r.Cost)
	now, err := s.client.Time(ctx).Result()
	if err != nil {
		return d, err
	}
	d.Now = now.UnixMicro()
	mine := now.Add(s.ahead).UnixMicro()
	allowed, err := clientClockScript.Run(ctx, s.client, []string{"naive:" + r.Key}, mine, cost.Micros, b.Capacity().Micros).Int()
	d.Allowed = allowed == 1
	return d, err
}

func (s clientClock) Reset(ctx context.Context, r store.Request) error {
	return s.client.Del(ctx, "naive:"+r.Key).Err()
}

// admitsAll and deniesAll do not decide at all.
type admitsAll struct{}

func (admitsAll) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{Allowed: true, Now: time.Now().UnixMicro()}, nil
}

func (admitsAll) Reset(context.Context, store.Request) error { return nil }

type deniesAll struct{}

func (deniesAll) Take(_ context.Context, r store.Request) (store.Decision, error) {
	return store.Decision{Now: time.Now().UnixMicro(), Debts: [store.MaxLimits]gcra.Debt{r.Limits[0].Capacity()}}, nil
}

func (deniesAll) Reset(context.Context, store.Request) error { return nil }
