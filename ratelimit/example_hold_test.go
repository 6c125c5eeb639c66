package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// exampleLimiter returns a limiter in memory.
func exampleLimiter(policy string) *ratelimit.Limiter {
	p, err := ratelimit.ParsePolicy(policy)
	if err != nil {
		panic(err)
	}
	l, err := ratelimit.New(memstore.New(memstore.Config{}), p, ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	return l
}

func ExampleAtOnce() {
	fmt.Println(ratelimit.AtOnce(10))
	fmt.Println(ratelimit.AtOnce(10).Named("calls"))
	policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(5), ratelimit.AtOnce(10))
	fmt.Println(policy, err)
	// Output:
	// 10 at a time
	// 10 at a time;name=calls
	// 5/s, 10 at a time <nil>
}

// A call to a language model holds an estimate, and pays what it has used.
func ExampleLimiter_Hold() {
	limiter := exampleLimiter("100000/d")
	ctx := context.Background()

	complete := func(prompt string) error {
		h, err := limiter.Hold(ctx, "an API key", 2000)
		if err != nil {
			return err
		}
		defer h.Cancel(ctx) // does nothing after Settle
		if r := h.Result(); !r.Allowed {
			return fmt.Errorf("retry after %v", r.RetryAfter())
		}
		r := h.Result()
		fmt.Println("while it runs, others have", r.Remaining())
		used := len(prompt) * 10 // as the model reports
		return h.Settle(ctx, used)
	}
	if err := complete("How are you?"); err != nil {
		fmt.Println(err)
	}
	r, _ := limiter.Peek(ctx, "an API key")
	fmt.Println("at the end", r.Remaining())
	// Output:
	// while it runs, others have 98000
	// at the end 99880
}

// A call of a fixed price holds its place among the calls that run at a time.
func ExampleLimiter_Enter() {
	limiter := exampleLimiter("1000/d, 1 at a time")
	ctx := context.Background()

	call := func(inside func()) {
		r, h, err := limiter.Enter(ctx, "an API key", 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer h.Release(ctx)
		if !r.Allowed {
			limit := r.Limit()
			fmt.Printf("denied by %v: retry after %v\n", limit, r.RetryAfter())
			return
		}
		fmt.Println("served")
		inside()
	}
	call(func() { call(nil) })
	call(func() {})
	// Output:
	// served
	// denied by 1 at a time: retry after 1s
	// served
}

func ExampleLimiter_PeekN() {
	limiter := exampleLimiter("60/h")
	ctx := context.Background()
	_, _ = limiter.AllowN(ctx, "an API key", 50)

	for _, n := range []int{10, 20} {
		r, err := limiter.PeekN(ctx, "an API key", n)
		fmt.Println(r.Allowed, r.RetryAfter().Round(time.Minute), err)
	}
	// Output:
	// true 0s <nil>
	// false 10m0s <nil>
}

// A consumer of a queue takes as many messages as it may send now.
func ExampleLimiter_AllowUpTo() {
	limiter := exampleLimiter("100/h")
	ctx := context.Background()

	for range 3 {
		r, err := limiter.AllowUpTo(ctx, "an API key", 64)
		fmt.Println(r.Granted(), r.RetryAfter().Round(time.Second), err)
	}
	// Output:
	// 64 0s <nil>
	// 36 0s <nil>
	// 0 36s <nil>
}

// A penalty for a failed login counts as ten attempts, also where there is no room for it.
func ExampleLimiter_Charge() {
	limiter := exampleLimiter("12/h")
	ctx := context.Background()
	_, _ = limiter.AllowN(ctx, "an address", 5)

	charged, err := limiter.Charge(ctx, "an address", 10)
	fmt.Println(charged, err)
	r, _ := limiter.Peek(ctx, "an address")
	fmt.Println(r.Allowed, r.RetryAfter().Round(time.Minute))
	// Output:
	// 10 <nil>
	// false 20m0s
}

func ExampleLimiter_WaitN() {
	limiter := exampleLimiter("1000/s")
	start := time.Now()
	for range 3 {
		if err := limiter.WaitN(context.Background(), "an API key", 500); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(time.Since(start) >= 490*time.Millisecond)
	fmt.Println(limiter.WaitN(context.Background(), "an API key", 2000))
	// Output:
	// true
	// ratelimit: limit "default": n 2000 must be at most 1000, the smallest burst; Limiter.WaitInParts takes more, in parts
}

func ExampleLimiter_WaitInParts() {
	limiter := exampleLimiter("1000/s")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()

	taken, err := limiter.WaitInParts(ctx, "an API key", 1500)
	fmt.Println(taken, err)
	taken, err = limiter.WaitInParts(ctx, "an API key", 3000)
	fmt.Println(taken, err != nil) // 3000 do not come in a second: none is taken
	// Output:
	// 1500 <nil>
	// 0 true
}
