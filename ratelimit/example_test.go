package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

func Example() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 4 {
		result, err := limiter.Allow(context.Background(), "an API key")
		if err != nil { // a fault, not a denial: the caller says what happens now
			fmt.Println(err)
			return
		}
		fmt.Println(result.Allowed, result.Remaining(), result.RetryAfter().Round(time.Minute))
	}
	// Output:
	// true 2 0s
	// true 1 0s
	// true 0 0s
	// false 0 20m0s
}

func ExampleNew_incorrect() {
	// Every fault is reported, each with what would be right.
	_, err := ratelimit.New(nil, ratelimit.Limit{Rate: 5, Burst: -1}, ratelimit.Config{Timeout: -time.Second})
	fmt.Println(err)
	// Output:
	// ratelimit: store is nil; pass one, such as memstore.New(memstore.Config{})
	// ratelimit: limit "default": Period 0s must be a whole number of microseconds, from 1µs to 87600h0m0s, such as 1s or time.Second
	// ratelimit: limit "default": Burst -1 must be from 1 to 4503599627370496, or 0 for the same as Rate
	// ratelimit: Config.Timeout -1s must not be negative; 0 means 50ms
}

// A denial is not an error. A caller that looks at the error alone limits no key.
func ExampleLimiter_Allow_incorrect() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(1), ratelimit.Config{})
	ctx := context.Background()
	_, _ = limiter.Allow(ctx, "an API key")

	if _, err := limiter.Allow(ctx, "an API key"); err == nil {
		fmt.Println("wrong: served, though denied")
	}
	if result, err := limiter.Allow(ctx, "an API key"); err == nil && !result.Allowed {
		fmt.Println("right: denied")
	}
	// Output:
	// wrong: served, though denied
	// right: denied
}

func ExamplePerSecond() {
	fmt.Println(ratelimit.PerSecond(5))
	fmt.Println(ratelimit.PerSecond(5).WithBurst(20))
	fmt.Println(ratelimit.PerDay(1000).Named("daily"))
	// Output:
	// 5/s
	// 5/s;burst=20
	// 1000/d;name=daily
}

func ExampleParseLimit() {
	limit, err := ratelimit.ParseLimit("1000/24h;burst=50")
	fmt.Println(limit.Rate, limit.Period, limit.Burst, err)
	fmt.Println(limit)
	// Output:
	// 1000 24h0m0s 50 <nil>
	// 1000/d;burst=50
}

func ExampleParseLimit_incorrect() {
	for _, text := range []string{"5", "5/60", "0/s", "5/1.0000001s"} {
		_, err := ratelimit.ParseLimit(text)
		fmt.Println(err)
	}
	// Output:
	// ratelimit: text "5" must be RATE/PERIOD, such as "5/s", "100/1m" or "1000/24h;burst=50", or N at a time, such as "10 at a time"
	// ratelimit: text "5/60" must have a period of s, m, h, d, a number of days or a Go duration behind the slash, such as "5/s" or "100/1.5s"
	// ratelimit: limit "default": Rate 0 must be from 1 to 2147483648, such as 5/s or ratelimit.PerSecond(5); to stop a key, use ratelimit.Blocked; to exempt one, use ratelimit.Unlimited
	// ratelimit: limit "default": Period 1.0000001s must be a whole number of microseconds, from 1µs to 87600h0m0s, such as 1s or time.Second
}

func ExampleLimit_UnmarshalText() {
	var config struct{ Limit ratelimit.Limit }
	err := json.Unmarshal([]byte(`{"Limit": "100/1m"}`), &config)
	fmt.Println(config.Limit.Rate, config.Limit.Period, err)
	text, _ := json.Marshal(config)
	fmt.Println(string(text))
	// Output:
	// 100 1m0s <nil>
	// {"Limit":"100/m"}
}

// For those who come from golang.org/x/time/rate.
func ExampleFromRate() {
	for _, r := range []rate.Limit{5, 2.5, 0.1, rate.Every(1900 * time.Millisecond)} {
		limit, err := ratelimit.FromRate(r, 10)
		fmt.Println(limit, err)
	}
	_, err := ratelimit.FromRate(rate.Inf, 10)
	fmt.Println(err)
	// Output:
	// 5/s;burst=10 <nil>
	// 5/2s;burst=10 <nil>
	// 1/10s;burst=10 <nil>
	// 10/19s <nil>
	// ratelimit: r 1.7976931348623157e+308 must be finite; to exempt a key, use ratelimit.Unlimited
}

// Ten per second and a thousand per hour: both admit a call, or none is charged.
func ExampleNewPolicy() {
	policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(10), ratelimit.PerHour(1000).Named("hourly"))
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), policy, ratelimit.Config{})
	result, _ := limiter.AllowN(context.Background(), "an API key", 4)
	for i := range result.Len() {
		state := result.State(i)
		fmt.Println(state.Limit.Name, state.Remaining)
	}
	// Output:
	// default 6
	// hourly 996
}

// Two limits of one policy need names of their own.
func ExampleNewPolicy_incorrect() {
	_, err := ratelimit.NewPolicy(ratelimit.PerSecond(10), ratelimit.PerHour(1000))
	fmt.Println(err)
	// Output:
	// ratelimit: limit "default": Name "default" must differ from the other limits of the policy, as in ratelimit.PerDay(1000).Named("daily")
}

// Plans: keys share a policy, and one key is exempt. Replace changes the plans
// while they are in use.
func ExampleNewTable() {
	free, _ := ratelimit.NewPolicy(ratelimit.PerDay(2))
	gold, _ := ratelimit.NewPolicy(ratelimit.PerDay(1000))
	table, err := plans.NewTable(plans.TableConfig{
		Default: free,
		Keys:    map[string]*ratelimit.Policy{"alice": gold, "bob": gold, "monitoring": ratelimit.Unlimited},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), table, ratelimit.Config{})
	for _, key := range []string{"alice", "bob", "monitoring", "somebody"} {
		result, _ := limiter.Allow(context.Background(), key)
		fmt.Println(key, result.Limit().Rate, result.Policy() == ratelimit.Unlimited)
	}
	// Output:
	// alice 1000 false
	// bob 1000 false
	// monitoring 0 true
	// somebody 2 false
}

// The plan of a caller, from the context, where authentication has put it.
func ExampleLimitsFunc() {
	type planKey struct{}
	free, _ := ratelimit.NewPolicy(ratelimit.PerDay(2))
	gold, _ := ratelimit.NewPolicy(ratelimit.PerDay(1000))
	limits := ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) {
		if ctx.Value(planKey{}) == "gold" {
			return gold, nil
		}
		return free, nil
	})
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	result, _ := limiter.Allow(context.WithValue(context.Background(), planKey{}, "gold"), "an API key")
	fmt.Println(result.Limit())
	// Output:
	// 1000/d
}

func ExampleLimiter_AllowN() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(100), ratelimit.Config{})
	ctx := context.Background()
	for _, cost := range []int{30, 0, 80, 101} {
		result, _ := limiter.AllowN(ctx, "an API key", cost)
		fmt.Println(result.Allowed, result.Remaining(), result.RetryAfter() == gcra.Never)
	}
	// Output:
	// true 70 false
	// true 70 false
	// false 70 false
	// false 70 true
}

func ExampleLimiter_Peek() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(1), ratelimit.Config{})
	ctx := context.Background()
	for range 2 {
		result, _ := limiter.Peek(ctx, "an API key")
		fmt.Println(result.Allowed, result.Remaining())
	}
	_, _ = limiter.Allow(ctx, "an API key")
	result, _ := limiter.Peek(ctx, "an API key")
	fmt.Println(result.Allowed, result.Remaining())
	// Output:
	// true 1
	// true 1
	// false 0
}

func ExampleLimiter_Reset() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(1), ratelimit.Config{})
	ctx := context.Background()
	_, _ = limiter.Allow(ctx, "an API key")
	err := limiter.Reset(ctx, "an API key")
	result, _ := limiter.Allow(ctx, "an API key")
	fmt.Println(err, result.Allowed)
	// Output:
	// <nil> true
}

// Wait is for callers, such as a worker that may do so much and no more.
// Exports are held to a limit of their own beside the key's: a call must fit into both.
func ExampleLimiter_With() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(5), ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	exports, err := limiter.With(ratelimit.PerHour(2).Named("exports"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for range 3 {
		r, _ := exports.Allow(ctx, "an API key")
		fmt.Println("export:", r.Allowed, r.Remaining(), "left of", r.Limit().Name)
	}
	r, _ := limiter.Allow(ctx, "an API key")
	fmt.Println("other:", r.Allowed, r.Remaining(), "left of", r.Limit().Name)
	// Output:
	// export: true 1 left of exports
	// export: true 0 left of exports
	// export: false 0 left of exports
	// other: true 2 left of default
}

// Calls for the status do not count against what a key may call, and have a limit of their
// own: the name must be another one, for limits of one name share a bucket.
func ExampleLimiter_Instead() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(5), ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = limiter.Instead(ratelimit.PerHour(60))
	fmt.Println(err)
	status, err := limiter.Instead(ratelimit.PerHour(60).Named("status"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r, _ := status.Allow(context.Background(), "an API key")
	fmt.Println(r.Remaining(), "left of", r.Limit().Name)
	r, _ = limiter.Peek(context.Background(), "an API key")
	fmt.Println(r.Remaining(), "left of", r.Limit().Name)
	// Output:
	// ratelimit: for keys under 5/h: ratelimit: limit "default": Name "default" must differ from the key's own limits, as in ratelimit.PerDay(1000).Named("daily")
	// 59 left of status
	// 5 left of default
}

func ExampleLimiter_Wait() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(limiter.Wait(ctx, "a worker"))
	// The next token comes after the deadline: Wait does not wait for it in vain.
	fmt.Println(limiter.Wait(ctx, "a worker") != nil, ctx.Err())
	// Output:
	// <nil>
	// true <nil>
}

func ExampleLimiter_Check() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	health := limiter.Check(context.Background())
	fmt.Println(health.Status, health.Decides)
	// Output:
	// ok store
}

// In shadow mode a limit can be watched before it is enforced.
func ExampleConfig_shadow() {
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(1), ratelimit.Config{
		Shadow:  true,
		Observe: func(_ context.Context, e ratelimit.Event) { fmt.Println("would deny:", e.Result.WouldDeny()) },
	})
	for range 2 {
		result, _ := limiter.Allow(context.Background(), "an API key")
		fmt.Println("allowed:", result.Allowed)
	}
	// Output:
	// would deny: false
	// allowed: true
	// would deny: true
	// allowed: true
}

// Beside a limit that is enforced, another one is watched. The report lists the keys that
// it would have denied.
func ExampleLimiter_ShadowReport() {
	policy, _ := ratelimit.NewPolicy(
		ratelimit.PerSecond(10),
		ratelimit.PerHour(2).Named("hourly").Shadowed(),
	)
	limiter, _ := ratelimit.New(memstore.New(memstore.Config{}), policy, ratelimit.Config{})
	for range 5 {
		result, _ := limiter.Allow(context.Background(), "an API key")
		fmt.Println(result.Allowed, result.WouldDeny())
	}
	for _, k := range limiter.ShadowReport().Keys {
		fmt.Printf("%.15s… would have been denied %d times by %s\n", k.Key, k.WouldDeny, k.Limit)
	}
	// Output:
	// true false
	// true false
	// true true
	// true true
	// true true
	// sha256:05576ecd… would have been denied 3 times by hourly
}

func ExampleParsePolicy() {
	policy, err := ratelimit.ParsePolicy("10/s, 1000/h;name=hourly")
	fmt.Println(policy, err)
	_, err = ratelimit.ParsePolicy("10/s, 1000/hour")
	fmt.Println(err)
	// Output:
	// 10/s, 1000/h;name=hourly <nil>
	// ratelimit: text "10/s, 1000/hour" must be written "10/s, 1000/h;name=hourly"
}

func ExampleLimit_EnforcedFrom() {
	limit := ratelimit.PerHour(1000).EnforcedFrom(time.Date(2027, time.January, 31, 0, 0, 0, 0, time.UTC))
	fmt.Println(limit)
	// Output:
	// 1000/h;enforce-from=2027-01-31
}
