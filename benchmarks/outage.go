package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
)

// outageSuite is an HTTP API whose limits are kept on Redis, when that is at its worst:
// it hangs, or one key is hammered.
var outageSuite = suite{
	name:  "outage",
	run:   runOutage,
	views: outageViews,
	goals: outageGoals,
	workers: child.Kinds{
		"outage": func() child.Worker { return &outageWorker{} },
	},
}

// hammerCallers call at once.
const hammerCallers = 64

var (
	hungCase = fmt.Sprintf("hung/rate=%d", hungRate)
	// A handler hides some of what a decision costs, and a server most of it.
	hammeredDecision = fmt.Sprintf("hammered/callers=%d/decision", hammerCallers)
	hammeredHandler  = fmt.Sprintf("hammered/callers=%d/handler", hammerCallers)
	hammeredHTTP     = fmt.Sprintf("hammered/callers=%d/http", hammerCallers)
	hammeredCases    = []string{hammeredDecision, hammeredHandler, hammeredHTTP}
)

func runOutage(ctx context.Context, s *session) (err error) {
	rounds, span, p := 3, 4*time.Second, hungPlan{2 * time.Second, 5 * time.Second, 3 * time.Second}
	if s.quick {
		rounds, span, p = 1, time.Second, hungPlan{500 * time.Millisecond, 1500 * time.Millisecond, 500 * time.Millisecond}
	}
	chosen := slices.DeleteFunc(slices.Clone(outageLibraries), func(l outageLibrary) bool {
		return s.libraries != nil && !slices.Contains(s.libraries, l.name)
	})
	server, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	s.logf("outage: Redis %s", server.version(ctx))
	var posts []child.Post
	for _, l := range chosen {
		posts = append(posts, child.Post{Name: l.name, Args: outageHire{l.name, server.tcp}})
	}
	c, err := child.Hire(ctx, "outage", posts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Dismiss()) }()
	key := 0 // no key is used twice: what is known of it would be of another round
	for n := range rounds {
		for _, kase := range append(slices.Clone(hammeredCases), hungCase) {
			if !s.wants(kase) {
				continue
			}
			s.logf("outage: round %d of %d, %s", n+1, rounds, kase)
			err := c.Round(n, func(child *child.Child) error {
				key += hungKeys
				var found figures
				var err error
				if kase == hungCase {
					found, err = hangChild(ctx, server, child, key, p)
				} else {
					found, err = hammerChild(ctx, server, child, kase, outageOrder{Do: hammer, Key: key, Callers: hammerCallers, Span: span})
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", kase, child.Name, err)
				}
				found["wrong"] = found["above"] + found["below"] + found["failed"]
				s.add("outage", kase, child.Name, found)
				return ctx.Err()
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// hangChild measures a library while Redis hangs.
func hangChild(ctx context.Context, server *redisServer, child *child.Child, key int, p hungPlan) (figures, error) {
	var address string
	if err := child.Do(outageOrder{Do: tellAddress}, &address); err != nil {
		return nil, err
	}
	if err := child.Do(outageOrder{Do: watchStalls}, nil); err != nil {
		return nil, err
	}
	found, err := hangUnder(ctx, address, key, p, server)
	var stall time.Duration
	if err := errors.Join(err, child.Do(outageOrder{Do: tellStall}, &stall)); err != nil {
		return nil, err
	}
	found["stall_us"] = max(us64(stall), found["late_us"])
	delete(found, "late_us")
	found["max_less_stall_us"] = found["max_us"] - found["stall_us"]
	return found, nil
}

// hammerChild measures a library while one key is hammered, and counts what that costs
// Redis.
func hammerChild(ctx context.Context, server *redisServer, child *child.Child, kase string, o outageOrder) (figures, error) {
	var address string
	if err := child.Do(outageOrder{Do: tellAddress}, &address); err != nil {
		return nil, err
	}
	before, err := readInfo(ctx, server.admin)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	var found figures
	switch kase {
	case hammeredHTTP:
		found, err = hammerOver(ctx, address, o)
	case hammeredDecision:
		o.Do = decide
		err = child.Do(o, &found)
	default:
		err = child.Do(o, &found)
	}
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := readInfo(ctx, server.admin)
	if err != nil {
		return nil, err
	}
	trips := after.since(before, suffixed(outageLibraries[outagePlace(child.Name)].trips, ".calls")...)
	found["above"], found["below"] = wrong(outageLimit, int(found["admitted"]), took)
	found["trips_per_call"] = trips / found["calls"]
	found["trips_per_admitted"] = trips / max(found["admitted"], 1)
	found["trips_beyond"] = max(0, trips-sparedTrips*took.Seconds()) / max(found["admitted"], 1)
	return found, nil
}

// sparedTrips are those a second that the goal for script calls does not count: what is
// known of a key is looked after now and then, however long it is hammered.
const sparedTrips = 5

func outageViews(*session) []view {
	answersOf := func(kase, unit string, scale float64) []column {
		return []column{
			{label: "median", kase: kase, figure: "p50_us", unit: unit, scale: scale},
			{label: "99th percentile", kase: kase, figure: "p99_us", unit: unit, scale: scale},
			{label: "slowest", kase: kase, figure: "max_us", unit: "ms", scale: 1000},
			{label: "decisions/s", kase: kase, figure: "per_second", hidden: true},
			{label: "calls", kase: kase, figure: "calls", plain: true, hidden: true},
			{label: "admitted", kase: kase, figure: "admitted", plain: true, hidden: true},
			{label: "above the limit", kase: kase, figure: "above", plain: true, hidden: true},
			{label: "below 95% of it", kase: kase, figure: "below", plain: true, hidden: true},
			{label: "5xx or no answer", kase: kase, figure: "failed", plain: true, hidden: true},
		}
	}
	hung := view{
		name: "outage-hung", title: fmt.Sprintf("Redis hangs: %d calls a second by %d keys, through a server", hungRate, hungKeys),
		note: "latencies of the calls that were due while it hung; the others with the defaults of their documentation",
		log:  true, entries: outageEntries(), columns: answersOf(hungCase, "ms", 1000),
	}
	hung.columns = append(hung.columns, column{label: "stall", kase: hungCase, figure: "stall_us", unit: "ms", scale: 1000, plain: true, hidden: true})
	views := []view{hung}
	for i, kase := range hammeredCases {
		where := []string{"the limiter alone", "the handler alone", "through a server"}[i]
		title := fmt.Sprintf("One key limited to %d/s, %d callers, %s", outageLimit.Tokens, hammerCallers, where)
		views = append(views,
			view{title: title, entries: outageEntries(), columns: answersOf(kase, us, 1)},
			view{title: title + ": what it costs Redis", entries: outageEntries(), columns: []column{
				{label: "trips per call", kase: kase, figure: "trips_per_call", plain: true, digits: 6},
				{label: "trips per admitted call", kase: kase, figure: "trips_per_admitted", digits: 1},
			}})
	}
	return views
}

// outageGoals are about keyrate's answers, and what they cost Redis.
func outageGoals(s *session) []goal {
	var goals []goal
	for _, kase := range []string{hammeredDecision, hammeredHandler} {
		c := column{kase: kase, figure: "per_second", unit: "/s"}
		goals = append(goals, s.atLeast("decisions/s, "+kase, 50, c, []string{"redis_rate"}, "redis_rate")...)
	}
	for _, kase := range hammeredCases {
		c := column{kase: kase, figure: "trips_beyond", unit: "per admitted call", digits: 2}
		goals = append(goals, s.below(fmt.Sprintf("script calls, but for %d a second, %s", sparedTrips, kase), 2, c)...)
	}
	// The budget of a decision, and what a machine that is busy takes.
	goals = append(goals, s.below("Redis hangs, slowest answer less the machine's own stall", 70,
		column{kase: hungCase, figure: "max_less_stall_us", unit: "ms", scale: 1000, digits: 1})...)
	for _, kase := range append(slices.Clone(hammeredCases), hungCase) {
		goals = append(goals, s.below("wrong answers, "+kase, 0, column{kase: kase, figure: "wrong", unit: "calls"})...)
	}
	return goals
}
