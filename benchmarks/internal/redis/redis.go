package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
		if network == tcp {
			cases = append(cases, redisCase{1, 1, denied, network}, redisCase{64, 1, denied, network})
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
// do better than the library itself, whose client opens so many connections by default.
func (l redisLibrary) takes(c redisCase, pool int) bool {
	if l.bare && c.denied || l.narrow && (c.network != tcp || c.callers == manyCallers) {
		return false
	}
	return l.base == "" || c.callers > pool && c.callers < manyCallers
}

// spans returns how long a library is warmed up for a case, and how long it is measured. The rate
// of a key with leases is averaged over four lives of at most 0.95 s, and all keys ask for their
// next leases at about the same time at first: two lives are measured.
func (l redisLibrary) spans(c redisCase, quick bool, span time.Duration) (warm, measured time.Duration) {
	switch {
	case !l.leases || c.denied || quick:
		return 0, span
	case c.keys == 1:
		return time.Second, 2 * time.Second
	default:
		return 5 * time.Second, 2 * time.Second
	}
}

func runRedis(ctx context.Context, s *report.Session) (err error) {
	rounds, span := 5, 400*time.Millisecond
	if s.Quick {
		rounds, span = 3, 70*time.Millisecond
	}
	chosen := slices.DeleteFunc(slices.Clone(redisLibraries), func(l redisLibrary) bool {
		return s.Libraries != nil && !slices.Contains(s.Libraries, l.name) && !slices.Contains(s.Libraries, l.base)
	})
	cores, where := runtime.GOMAXPROCS(0), place()
	s.Logf("redis: %s", where)
	var server *Server
	err = where.on(where.redis, func() error {
		server, err = Start(ctx)
		return err
	})
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
	var c child.Crew
	defer func() { err = errors.Join(err, c.Dismiss()) }()
	for _, p := range posts {
		err := where.on(where.callers, func() error {
			hired, err := child.Start(ctx, "redis", p.Name, p.Args)
			if err == nil {
				c = append(c, hired)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for n := range rounds {
		for _, denied := range []bool{false, true} {
			s.Logf("redis: round %d of %d, %s", n+1, rounds, report.Verdicts[report.Verdict(denied)])
			if err := redisRound(ctx, s, server, c, n, where.pool(cores), redisOrder{Denied: denied, Span: span}); err != nil {
				return err
			}
		}
	}
	return nil
}

// redisRound runs the cases of one verdict once, on a Redis that holds the keys of
// all libraries and nothing else.
func redisRound(ctx context.Context, s *report.Session, server *Server, c child.Crew, n, pool int, o redisOrder) error {
	cases := slices.DeleteFunc(redisCases(o.Denied, s.Quick), func(c redisCase) bool { return !s.Wants(c.String()) })
	exceeds := !o.Denied && s.Wants(exceedKase)
	if len(cases) == 0 && !exceeds {
		return nil
	}
	if err := server.Admin.FlushAll(ctx).Err(); err != nil {
		return err
	}
	for _, child := range c {
		if len(cases) == 0 {
			break
		}
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
			if !l.takes(kase, pool) {
				return nil
			}
			o := o
			o.Warm, o.Span = l.spans(kase, s.Quick, o.Span)
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
	if !exceeds {
		return nil
	}
	return c.Round(n, func(child *child.Child) error {
		if !redisLibraries[redisPlace(child.Name)].exceeds {
			return nil
		}
		o := redisOrder{Exceed: true, Network: tcp, Span: exceedSpan}
		if s.Quick {
			o.Span /= 4
		}
		var found report.Figures
		if err := child.Do(o, &found); err != nil {
			return fmt.Errorf("%s: %w", exceedKase, err)
		}
		s.Add("redis", exceedKase, child.Name, found)
		return ctx.Err()
	})
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
