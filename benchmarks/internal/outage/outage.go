package outage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Suite measures an HTTP API with its limits in Redis at the worst times: Redis hangs, or
// many callers share one key.
var Suite = report.Suite{
	Name:  "outage",
	Run:   runOutage,
	Views: outageViews,
	Goals: outageGoals,
	Workers: child.Kinds{
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

func runOutage(ctx context.Context, s *report.Session) (err error) {
	rounds, span, p := 3, 4*time.Second, hungPlan{2 * time.Second, 5 * time.Second, 3 * time.Second}
	if s.Quick {
		rounds, span, p = 1, time.Second, hungPlan{500 * time.Millisecond, 1500 * time.Millisecond, 500 * time.Millisecond}
	}
	chosen := slices.DeleteFunc(slices.Clone(outageLibraries), func(l outageLibrary) bool {
		return s.Libraries != nil && !slices.Contains(s.Libraries, l.name)
	})
	server, err := redis.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	s.Logf("outage: Redis %s", server.Version(ctx))
	var posts []child.Post
	for _, l := range chosen {
		posts = append(posts, child.Post{Name: l.name, Args: outageHire{l.name, server.TCP}})
	}
	c, err := child.Hire(ctx, "outage", posts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Dismiss()) }()
	key := 0 // no key is used twice: what is known of it would be of another round
	for n := range rounds {
		for _, kase := range append(slices.Clone(hammeredCases), hungCase) {
			if !s.Wants(kase) {
				continue
			}
			s.Logf("outage: round %d of %d, %s", n+1, rounds, kase)
			err := c.Round(n, func(child *child.Child) error {
				key += hungKeys
				var found report.Figures
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
				s.Add("outage", kase, child.Name, found)
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
func hangChild(ctx context.Context, server *redis.Server, child *child.Child, key int, p hungPlan) (report.Figures, error) {
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
func hammerChild(ctx context.Context, server *redis.Server, child *child.Child, kase string, o outageOrder) (report.Figures, error) {
	var address string
	if err := child.Do(outageOrder{Do: tellAddress}, &address); err != nil {
		return nil, err
	}
	before, err := redis.ReadInfo(ctx, server.Admin)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	var found report.Figures
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
	after, err := redis.ReadInfo(ctx, server.Admin)
	if err != nil {
		return nil, err
	}
	trips := after.Since(before, redis.Suffixed(outageLibraries[outagePlace(child.Name)].trips, ".calls")...)
	found["above"], found["below"] = wrong(outageLimit, int(found["admitted"]), took)
	found["trips_per_call"] = trips / found["calls"]
	found["trips_per_admitted"] = trips / max(found["admitted"], 1)
	found["trips_beyond"] = max(0, trips-sparedTrips*took.Seconds()) / max(found["admitted"], 1)
	return found, nil
}

// sparedTrips are those a second that the goal for script calls does not count: what is
// known of a key is looked after now and then, however long it is hammered.
const sparedTrips = 5

func outageViews(*report.Session) []report.View {
	answersOf := func(kase, unit string, scale float64) []report.Column {
		return []report.Column{
			{Label: "median", Kase: kase, Figure: "p50_us", Unit: unit, Scale: scale},
			{Label: "99th percentile", Kase: kase, Figure: "p99_us", Unit: unit, Scale: scale},
			{Label: "slowest", Kase: kase, Figure: "max_us", Unit: "ms", Scale: 1000},
			{Label: "decisions/s", Kase: kase, Figure: "per_second", Hidden: true},
			{Label: "calls", Kase: kase, Figure: "calls", Plain: true, Hidden: true},
			{Label: "admitted", Kase: kase, Figure: "admitted", Plain: true, Hidden: true},
			{Label: "above the limit", Kase: kase, Figure: "above", Plain: true, Hidden: true},
			{Label: "below 95% of it", Kase: kase, Figure: "below", Plain: true, Hidden: true},
			{Label: "5xx or no answer", Kase: kase, Figure: "failed", Plain: true, Hidden: true},
		}
	}
	hung := report.View{
		Name: "outage-hung", Title: fmt.Sprintf("Redis hangs: %d calls a second by %d keys, through a server", hungRate, hungKeys),
		Note: "latencies of the calls that were due while it hung; the others with the defaults of their documentation",
		Log:  true, Entries: outageEntries(), Columns: answersOf(hungCase, "ms", 1000),
	}
	hung.Columns = append(hung.Columns, report.Column{Label: "stall", Kase: hungCase, Figure: "stall_us", Unit: "ms", Scale: 1000, Plain: true, Hidden: true})
	views := []report.View{hung}
	for i, kase := range hammeredCases {
		where := []string{"the limiter alone", "the handler alone", "through a server"}[i]
		title := fmt.Sprintf("One key limited to %d/s, %d callers, %s", outageLimit.Tokens, hammerCallers, where)
		views = append(views,
			report.View{Title: title, Entries: outageEntries(), Columns: answersOf(kase, report.Microsecond, 1)},
			report.View{Title: title + ": what it costs Redis", Entries: outageEntries(), Columns: []report.Column{
				{Label: "trips per call", Kase: kase, Figure: "trips_per_call", Plain: true, Digits: 6},
				{Label: "trips per admitted call", Kase: kase, Figure: "trips_per_admitted", Digits: 1},
			}})
	}
	return views
}

// outageGoals are about keyrate's answers, and what they cost Redis.
func outageGoals(s *report.Session) []report.Goal {
	var goals []report.Goal
	for _, kase := range []string{hammeredDecision, hammeredHandler} {
		c := report.Column{Kase: kase, Figure: "per_second", Unit: "/s"}
		goals = append(goals, s.AtLeast("decisions/s, "+kase, 50, c, []string{"redis_rate"}, "redis_rate")...)
	}
	for _, kase := range hammeredCases {
		c := report.Column{Kase: kase, Figure: "trips_beyond", Unit: "per admitted call", Digits: 2}
		goals = append(goals, s.Below(fmt.Sprintf("script calls, but for %d a second, %s", sparedTrips, kase), 2, c)...)
	}
	// The budget of a decision, and what a machine that is busy takes.
	goals = append(goals, s.Below("Redis hangs, slowest answer less the machine's own stall", 70,
		report.Column{Kase: hungCase, Figure: "max_less_stall_us", Unit: "ms", Scale: 1000, Digits: 1})...)
	for _, kase := range append(slices.Clone(hammeredCases), hungCase) {
		goals = append(goals, s.Below("wrong answers, "+kase, 0, report.Column{Kase: kase, Figure: "wrong", Unit: "calls"})...)
	}
	return goals
}
