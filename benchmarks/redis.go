package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
)

// redisSuite is decisions that processes share on one real Redis: how many of them
// callers get done in a second, how long each takes, and what they cost Redis.
var redisSuite = suite{
	name:  "redis",
	run:   runRedis,
	views: redisViews,
	goals: redisGoals,
	workers: child.Kinds{
		"redis": func() child.Worker { return &redisWorker{} },
	},
}

// The networks.
const (
	tcp        = "tcp"
	unixSocket = "unix"
	longLink   = "link-1ms"
)

// linkDelay is that of the link in each direction.
const linkDelay = 500 * time.Microsecond

// manyCallers is so many that goroutines and connections tell whether they grow with
// the callers.
const manyCallers = 1000

// A redisCase is so many callers who ask at once.
type redisCase struct {
	callers int
	keys    int
	denied  bool
	network string
}

func (c redisCase) String() string {
	return fmt.Sprintf("callers=%d/keys=%d/%s/%s", c.callers, c.keys, verdict(c.denied), c.network)
}

// redisCases are those of one verdict.
func redisCases(denied, quick bool) []redisCase {
	var cases []redisCase
	for _, network := range []string{tcp, unixSocket} {
		if quick && denied && network == unixSocket {
			continue
		}
		for _, callers := range []int{1, 16, 64, 256} {
			cases = append(cases, redisCase{callers, redisKeys, denied, network})
		}
		if !quick || network == tcp {
			cases = append(cases, redisCase{256, 1, denied, network})
		}
	}
	if !quick || !denied {
		cases = append(cases, redisCase{64, redisKeys, denied, longLink})
	}
	if !denied {
		cases = append(cases, redisCase{manyCallers, redisKeys, denied, tcp})
	}
	return cases
}

// takes tells whether a library is measured in a case: a variant where it may do
// better than the library itself.
func (l redisLibrary) takes(c redisCase) bool {
	if l.bare && c.denied {
		return false
	}
	return l.base == "" || c.callers > defaultPool() && c.callers < manyCallers
}

func runRedis(ctx context.Context, s *session) (err error) {
	rounds, span := 5, 400*time.Millisecond
	if s.quick {
		rounds, span = 3, 70*time.Millisecond
	}
	chosen := slices.DeleteFunc(slices.Clone(redisLibraries), func(l redisLibrary) bool {
		return s.libraries != nil && !slices.Contains(s.libraries, l.name) && !slices.Contains(s.libraries, l.base)
	})
	server, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	long, err := startLink(ctx, server.socket, linkDelay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, long.Close()) }()
	s.logf("redis: Redis %s", server.version(ctx))
	var posts []child.Post
	for i, l := range chosen {
		posts = append(posts, child.Post{Name: l.name, Args: redisHire{
			Library: l.name, First: 2 * redisKeys * i,
			Networks: map[string]string{tcp: server.tcp, unixSocket: server.socket, longLink: long.address},
		}})
	}
	c, err := child.Hire(ctx, "redis", posts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Dismiss()) }()
	for n := range rounds {
		for _, denied := range []bool{false, true} {
			s.logf("redis: round %d of %d, %s", n+1, rounds, verdicts[verdict(denied)])
			if err := redisRound(ctx, s, server, c, n, redisOrder{Denied: denied, Span: span}); err != nil {
				return err
			}
		}
	}
	return nil
}

// redisRound runs the cases of one verdict once, on a Redis that holds the keys of
// all libraries and nothing else.
func redisRound(ctx context.Context, s *session, server *redisServer, c child.Crew, n int, o redisOrder) error {
	cases := slices.DeleteFunc(redisCases(o.Denied, s.quick), func(c redisCase) bool { return !s.wants(c.String()) })
	if len(cases) == 0 {
		return nil
	}
	if err := server.admin.FlushAll(ctx).Err(); err != nil {
		return err
	}
	for _, child := range c {
		if l := redisLibraries[redisPlace(child.Name)]; l.bare && o.Denied {
			continue
		}
		if err := child.Do(redisOrder{Prime: true, Denied: o.Denied}, nil); err != nil {
			return err
		}
	}
	for i, kase := range cases {
		err := c.Round(n+i, func(child *child.Child) error {
			l := redisLibraries[redisPlace(child.Name)]
			if !l.takes(kase) {
				return nil
			}
			o.Callers, o.Keys, o.Network, o.Pool = kase.callers, kase.keys, kase.network, 0
			if l.base != "" {
				o.Pool = kase.callers
			}
			var found figures
			if err := child.Do(o, &found); err != nil {
				return fmt.Errorf("%s: %w", kase, err)
			}
			if failures := found["failures_ppm"]; failures > 0 {
				s.logf("redis: %s, %s: %.0f of a million calls got no answer", kase, child.Name, failures)
			}
			s.add("redis", kase.String(), child.Name, found)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func redisViews(*session) []view {
	var views []view
	add := func(v view) {
		v.entries = redisEntries()
		views = append(views, v)
	}
	sizes := func(denied bool, network string) []redisCase {
		return []redisCase{
			{1, redisKeys, denied, network},
			{16, redisKeys, denied, network},
			{64, redisKeys, denied, network},
			{256, redisKeys, denied, network},
			{256, 1, denied, network},
		}
	}
	for _, denied := range []bool{false, true} {
		for _, network := range []string{tcp, unixSocket} {
			where := fmt.Sprintf("%s, %s", verdicts[verdict(denied)], networkLabels[network])
			name := fmt.Sprintf("redis-%s-%s", verdict(denied), network)
			rate := view{name: name, title: "Decisions per second on Redis, " + where, more: true}
			p50 := view{name: name + "-p50", title: "Latency of a decision on Redis, median, " + where, log: true}
			p99 := view{title: "Latency of a decision on Redis, 99th percentile, " + where}
			for _, c := range sizes(denied, network) {
				rate.columns = append(rate.columns, column{label: c.label(), kase: c.String(), figure: "per_second"})
				p50.columns = append(p50.columns, column{label: c.label(), kase: c.String(), figure: "p50_us", unit: us})
				p99.columns = append(p99.columns, column{label: c.label(), kase: c.String(), figure: "p99_us", unit: us})
			}
			add(rate)
			add(p50)
			add(p99)
		}
	}
	for _, denied := range []bool{false, true} {
		for _, callers := range []int{1, 64, 256} {
			c := redisCase{callers, redisKeys, denied, tcp}
			add(view{
				name:  fmt.Sprintf("redis-cost-%s-%d", verdict(denied), callers),
				title: fmt.Sprintf("What a decision costs Redis, %s, %s, %s", c.label(), verdicts[verdict(denied)], networkLabels[tcp]),
				note:  "trips: script calls, or other commands that wait for an answer of their own; reads: how often Redis reads from a connection",
				columns: []column{
					{label: "processor time", kase: c.String(), figure: "redis_cpu_us", unit: us, digits: 2},
					{label: "in scripts, by the clock", kase: c.String(), figure: "script_us", unit: us, digits: 2},
					{label: "trips", kase: c.String(), figure: "trips", digits: 3, plain: true},
					{label: "reads", kase: c.String(), figure: "reads", digits: 3, plain: true, hidden: true},
				},
			})
		}
	}
	for _, denied := range []bool{false, true} {
		kase := redisCase{64, redisKeys, denied, longLink}.String()
		add(view{
			name:  "redis-link-" + verdict(denied),
			title: fmt.Sprintf("64 callers over a link of 1 ms, %s", verdicts[verdict(denied)]),
			columns: []column{
				{label: "median", kase: kase, figure: "p50_us", unit: us},
				{label: "99th percentile", kase: kase, figure: "p99_us", unit: us},
				{label: "decisions/s", kase: kase, figure: "per_second", hidden: true},
				{label: "no answer, of a million", kase: kase, figure: "failures_ppm", plain: true, hidden: true},
			},
		})
	}
	many := redisCase{manyCallers, redisKeys, false, tcp}.String()
	add(view{
		title: fmt.Sprintf("%s callers", count(manyCallers)),
		columns: []column{
			{label: "goroutines beside the callers'", kase: many, figure: "goroutines", plain: true},
			{label: "connections", kase: many, figure: "connections", plain: true},
			{label: "decisions/s", kase: many, figure: "per_second"},
			{label: "median", kase: many, figure: "p50_us", unit: us},
			{label: "99th percentile", kase: many, figure: "p99_us", unit: us},
			{label: "no answer, of a million", kase: many, figure: "failures_ppm", plain: true},
		},
	})
	return views
}

var networkLabels = map[string]string{tcp: "TCP", unixSocket: "unix socket", longLink: "a link of 1 ms"}

// label names a case within a table.
func (c redisCase) label() string {
	text := fmt.Sprintf("%d callers", c.callers)
	if c.callers == 1 {
		text = "1 caller"
	}
	if c.keys == 1 {
		text += ", 1 key"
	}
	return text
}

// keyratePool is how many connections redisstore.NewClient allows itself.
const keyratePool = 20

// redisGoals are those of the table, for each verdict and network that was measured.
// redis_rate is the better of its two pools, figure by figure.
func redisGoals(s *session) []goal {
	var goals []goal
	add := func(what string, c redisCase, figure, unit string, factor float64, compare func(string, float64, column, []string, string) []goal) {
		digits := 0
		if figure == "redis_cpu_us" {
			digits = 2
		}
		what = fmt.Sprintf("%s, %s, %s, %s", c.label(), what, verdicts[verdict(c.denied)], networkLabels[c.network])
		goals = append(goals, compare(what, factor, column{kase: c.String(), figure: figure, unit: unit, digits: digits}, redisNames("redis_rate"), "redis_rate")...)
	}
	for _, denied := range []bool{false, true} {
		for _, network := range []string{tcp, unixSocket} {
			add("decisions/s", redisCase{256, redisKeys, denied, network}, "per_second", "/s", 5, s.atLeast)
			add("decisions/s", redisCase{64, redisKeys, denied, network}, "per_second", "/s", 3, s.atLeast)
			add("median", redisCase{1, redisKeys, denied, network}, "p50_us", us, 1.1, s.atMost)
			add("Redis' processor time", redisCase{256, redisKeys, denied, network}, "redis_cpu_us", us, 0.3, s.atMost)
			add("decisions/s", redisCase{256, 1, denied, network}, "per_second", "/s", 5, s.atLeast)
		}
		add("median", redisCase{64, redisKeys, denied, longLink}, "p50_us", us, 1.3, s.atMost)
	}
	many := redisCase{manyCallers, redisKeys, false, tcp}
	goals = append(goals, s.below(many.label()+", connections", keyratePool, column{kase: many.String(), figure: "connections"})...)
	return append(goals, s.below(many.label()+", goroutines beside theirs", keyratePool, column{kase: many.String(), figure: "goroutines"})...)
}
