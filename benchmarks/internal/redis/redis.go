package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Suite measures decisions that nodes share on one real Redis: how many callers get in a
// second, how long each takes, and what it costs Redis.
var Suite = report.Suite{
	Name:  "redis",
	Run:   runRedis,
	Views: redisViews,
	Goals: redisGoals,
	Workers: child.Kinds{
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

// manyCallers is so many that goroutines and connections show whether they grow with the
// callers.
const manyCallers = 1000

// A redisCase is so many callers who ask at once.
type redisCase struct {
	callers int
	keys    int
	denied  bool
	network string
}

func (c redisCase) String() string {
	return fmt.Sprintf("callers=%d/keys=%d/%s/%s", c.callers, c.keys, report.Verdict(c.denied), c.network)
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

// takes reports whether a library is measured in a case. A variant is measured where it may
// do better than the library itself.
func (l redisLibrary) takes(c redisCase) bool {
	if l.bare && c.denied {
		return false
	}
	return l.base == "" || c.callers > defaultPool() && c.callers < manyCallers
}

func runRedis(ctx context.Context, s *report.Session) (err error) {
	rounds, span := 5, 400*time.Millisecond
	if s.Quick {
		rounds, span = 3, 70*time.Millisecond
	}
	chosen := slices.DeleteFunc(slices.Clone(redisLibraries), func(l redisLibrary) bool {
		return s.Libraries != nil && !slices.Contains(s.Libraries, l.name) && !slices.Contains(s.Libraries, l.base)
	})
	server, err := Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	long, err := startLink(ctx, server.socket, linkDelay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, long.Close()) }()
	s.Logf("redis: Redis %s", server.Version(ctx))
	var posts []child.Post
	for i, l := range chosen {
		posts = append(posts, child.Post{Name: l.name, Args: redisHire{
			Library: l.name, First: 2 * redisKeys * i,
			Networks: map[string]string{tcp: server.TCP, unixSocket: server.socket, longLink: long.address},
		}})
	}
	c, err := child.Hire(ctx, "redis", posts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Dismiss()) }()
	for n := range rounds {
		for _, denied := range []bool{false, true} {
			s.Logf("redis: round %d of %d, %s", n+1, rounds, report.Verdicts[report.Verdict(denied)])
			if err := redisRound(ctx, s, server, c, n, redisOrder{Denied: denied, Span: span}); err != nil {
				return err
			}
		}
	}
	return nil
}

// redisRound runs the cases of one verdict once, on a Redis that holds the keys of
// all libraries and nothing else.
func redisRound(ctx context.Context, s *report.Session, server *Server, c child.Crew, n int, o redisOrder) error {
	cases := slices.DeleteFunc(redisCases(o.Denied, s.Quick), func(c redisCase) bool { return !s.Wants(c.String()) })
	if len(cases) == 0 {
		return nil
	}
	if err := server.Admin.FlushAll(ctx).Err(); err != nil {
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
			var found report.Figures
			if err := child.Do(o, &found); err != nil {
				return fmt.Errorf("%s: %w", kase, err)
			}
			if failures := found["failures_ppm"]; failures > 0 {
				s.Logf("redis: %s, %s: %.0f of a million calls got no answer", kase, child.Name, failures)
			}
			s.Add("redis", kase.String(), child.Name, found)
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func redisViews(*report.Session) []report.View {
	var views []report.View
	add := func(v report.View) {
		v.Entries = redisEntries()
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
			where := fmt.Sprintf("%s, %s", report.Verdicts[report.Verdict(denied)], networkLabels[network])
			name := fmt.Sprintf("redis-%s-%s", report.Verdict(denied), network)
			rate := report.View{Name: name, Title: "Decisions per second on Redis, " + where, More: true}
			p50 := report.View{Name: name + "-p50", Title: "Latency of a decision on Redis, median, " + where, Log: true}
			p99 := report.View{Title: "Latency of a decision on Redis, 99th percentile, " + where}
			for _, c := range sizes(denied, network) {
				rate.Columns = append(rate.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "per_second"})
				p50.Columns = append(p50.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "p50_us", Unit: report.Microsecond})
				p99.Columns = append(p99.Columns, report.Column{Label: c.label(), Kase: c.String(), Figure: "p99_us", Unit: report.Microsecond})
			}
			add(rate)
			add(p50)
			add(p99)
		}
	}
	for _, denied := range []bool{false, true} {
		for _, callers := range []int{1, 64, 256} {
			c := redisCase{callers, redisKeys, denied, tcp}
			add(report.View{
				Name:  fmt.Sprintf("redis-cost-%s-%d", report.Verdict(denied), callers),
				Title: fmt.Sprintf("What a decision costs Redis, %s, %s, %s", c.label(), report.Verdicts[report.Verdict(denied)], networkLabels[tcp]),
				Note:  "trips: script calls, or other commands that wait for an answer of their own; reads: how often Redis reads from a connection",
				Columns: []report.Column{
					{Label: "processor time", Kase: c.String(), Figure: "redis_cpu_us", Unit: report.Microsecond, Digits: 2},
					{Label: "in scripts, by the clock", Kase: c.String(), Figure: "script_us", Unit: report.Microsecond, Digits: 2},
					{Label: "trips", Kase: c.String(), Figure: "trips", Digits: 3, Plain: true},
					{Label: "reads", Kase: c.String(), Figure: "reads", Digits: 3, Plain: true, Hidden: true},
				},
			})
		}
	}
	for _, denied := range []bool{false, true} {
		kase := redisCase{64, redisKeys, denied, longLink}.String()
		add(report.View{
			Name:  "redis-link-" + report.Verdict(denied),
			Title: fmt.Sprintf("64 callers over a link of 1 ms, %s", report.Verdicts[report.Verdict(denied)]),
			Columns: []report.Column{
				{Label: "median", Kase: kase, Figure: "p50_us", Unit: report.Microsecond},
				{Label: "99th percentile", Kase: kase, Figure: "p99_us", Unit: report.Microsecond},
				{Label: "decisions/s", Kase: kase, Figure: "per_second", Hidden: true},
				{Label: "no answer, of a million", Kase: kase, Figure: "failures_ppm", Plain: true, Hidden: true},
			},
		})
	}
	many := redisCase{manyCallers, redisKeys, false, tcp}.String()
	add(report.View{
		Title: fmt.Sprintf("%s callers", report.Count(manyCallers)),
		Columns: []report.Column{
			{Label: "goroutines beside the callers'", Kase: many, Figure: "goroutines", Plain: true},
			{Label: "connections", Kase: many, Figure: "connections", Plain: true},
			{Label: "decisions/s", Kase: many, Figure: "per_second"},
			{Label: "median", Kase: many, Figure: "p50_us", Unit: report.Microsecond},
			{Label: "99th percentile", Kase: many, Figure: "p99_us", Unit: report.Microsecond},
			{Label: "no answer, of a million", Kase: many, Figure: "failures_ppm", Plain: true},
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
func redisGoals(s *report.Session) []report.Goal {
	var goals []report.Goal
	add := func(what string, c redisCase, figure, unit string, factor float64, compare func(string, float64, report.Column, []string, string) []report.Goal) {
		digits := 0
		if figure == "redis_cpu_us" {
			digits = 2
		}
		what = fmt.Sprintf("%s, %s, %s, %s", c.label(), what, report.Verdicts[report.Verdict(c.denied)], networkLabels[c.network])
		goals = append(goals, compare(what, factor, report.Column{Kase: c.String(), Figure: figure, Unit: unit, Digits: digits}, redisNames("redis_rate"), "redis_rate")...)
	}
	for _, denied := range []bool{false, true} {
		for _, network := range []string{tcp, unixSocket} {
			add("decisions/s", redisCase{256, redisKeys, denied, network}, "per_second", "/s", 5, s.AtLeast)
			add("decisions/s", redisCase{64, redisKeys, denied, network}, "per_second", "/s", 3, s.AtLeast)
			add("median", redisCase{1, redisKeys, denied, network}, "p50_us", report.Microsecond, 1.1, s.AtMost)
			add("Redis' processor time", redisCase{256, redisKeys, denied, network}, "redis_cpu_us", report.Microsecond, 0.3, s.AtMost)
			add("decisions/s", redisCase{256, 1, denied, network}, "per_second", "/s", 5, s.AtLeast)
		}
		add("median", redisCase{64, redisKeys, denied, longLink}, "p50_us", report.Microsecond, 1.3, s.AtMost)
	}
	many := redisCase{manyCallers, redisKeys, false, tcp}
	goals = append(goals, s.Below(many.label()+", connections", keyratePool, report.Column{Kase: many.String(), Figure: "connections"})...)
	return append(goals, s.Below(many.label()+", goroutines beside theirs", keyratePool, report.Column{Kase: many.String(), Figure: "goroutines"})...)
}
