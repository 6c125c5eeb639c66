package seen

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A fact is a row of the table of calls: what becomes of some calls to a program that
// has just been started.
type fact struct {
	name    string
	redis   bool // it is about a program that keeps its limits in Redis
	memory  bool // it is about one that keeps them in memory
	outcome func(*running) string
}

var facts = []fact{
	{name: "6 with one key, at once", outcome: six(func(int) call { return call{key: "alice"} })},
	{name: "1, then 4 after 990 ms, then 5 after 1,010 ms", outcome: boundary},
	{name: "10 a second, for 10 s", outcome: steady},
	{name: "6 with one key, 1 with each of 70,000 others, 1 more with the first", memory: true, outcome: crowded},
	{name: "6, and one more after the reported wait", outcome: patient},
	{name: "6 without a key", outcome: six(func(int) call { return call{} })},
	{name: "6 without a key, each from another address", outcome: six(func(i int) call { return call{from: address(i)} })},
	{name: "6 without a key, each with another `X-Forwarded-For`", outcome: six(func(i int) call { return call{header: forwarded(i)} })},
	{name: "6 with one key, each from another address", outcome: six(func(i int) call { return call{key: "alice", from: address(i)} })},
	{name: "6 with one key, each with another `X-Forwarded-For`", outcome: six(func(i int) call { return call{key: "alice", header: forwarded(i)} })},
	{name: "6 with one key, each to another path", outcome: six(func(i int) call { return call{key: "alice", path: "/" + strconv.Itoa(i)} })},
	{name: "3 with the key `alice`, 3 with `ALICE`", outcome: six(func(i int) call { return call{key: []string{"alice", "ALICE"}[i%2]} })},
	{name: "1 with two `X-API-Key` headers", outcome: func(s *running) string {
		return statuses([]answer{s.do(call{header: http.Header{"X-Api-Key": {"alice", "bob"}}})})
	}},
	{name: "1 with `X-Forwarded-For`: the headers that repeat it", outcome: repeated},
	{name: "6 `HEAD`", outcome: six(func(int) call { return call{key: "alice", method: http.MethodHead} })},
	{name: "6 `OPTIONS`", outcome: six(func(int) call { return call{key: "alice", method: http.MethodOptions} })},
	{name: "6 CORS preflights, which have no key", outcome: six(func(int) call {
		return call{method: http.MethodOptions, header: http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"POST"}}}
	})},
	{name: "1 with the key `alice`: what Redis holds then", redis: true, outcome: held},
	{name: "6, after Redis has died", redis: true, outcome: func(s *running) string {
		s.do(call{key: "alice"})
		s.redis.die()
		return six(func(int) call { return call{key: "alice"} })(s)
	}},
	{name: "6, and Redis' answer to the first is lost", redis: true, outcome: func(s *running) string {
		s.do(call{key: "bob"})
		s.redis.loseOne()
		return six(func(int) call { return call{key: "alice"} })(s)
	}},
	{name: "1, while Redis hangs", redis: true, outcome: hanging},
	{name: "the program starts while Redis is down", redis: true, outcome: func(s *running) string {
		s.redis.die()
		if s.redis.again() != nil {
			return "it ends"
		}
		return "it serves"
	}},
}

// six makes six calls at once.
func six(of func(i int) call) func(*running) string {
	return func(s *running) string {
		var got []answer
		for i := range 6 {
			got = append(got, s.do(of(i)))
		}
		return statuses(got)
	}
}

// boundary spends a whole limit shortly before a window of a second ends, and another
// shortly after.
func boundary(s *running) string {
	got := []answer{s.do(call{key: "alice"})}
	time.Sleep(990 * time.Millisecond)
	for range 4 {
		got = append(got, s.do(call{key: "alice"}))
	}
	time.Sleep(20 * time.Millisecond)
	for range 5 {
		got = append(got, s.do(call{key: "alice"}))
	}
	return statuses(got)
}

func steady(s *running) string {
	admitted := 0
	for range 100 {
		if s.do(call{key: "alice"}).status == http.StatusOK {
			admitted++
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Sprintf("%d of 100 admitted", admitted)
}

// crowded reports whether a key at its limit is forgotten for others.
func crowded(s *running) string {
	six(func(int) call { return call{key: "alice"} })(s)
	for i := range 70_000 {
		s.do(call{key: strconv.Itoa(i)})
	}
	return statuses([]answer{s.do(call{key: "alice"})})
}

func patient(s *running) string {
	var last answer
	for range 6 {
		last = s.do(call{key: "alice"})
	}
	for _, reported := range []struct {
		header string
		unit   time.Duration
	}{
		{"Retry-After-Ms", time.Millisecond},
		{"Retry-After", time.Second},
	} {
		n, err := strconv.Atoi(last.header.Get(reported.header))
		if err != nil {
			continue
		}
		wait := time.Duration(n) * reported.unit
		time.Sleep(wait)
		return fmt.Sprintf("%d, after %s", s.do(call{key: "alice"}).status, spell(wait))
	}
	return "no wait is reported"
}

// held returns the keys in Redis, and their types.
func held(s *running) string {
	s.do(call{key: "alice"})
	var all []string
	for _, key := range s.redis.redis.Keys() {
		all = append(all, fmt.Sprintf("`%s`, a %s", strings.ReplaceAll(key, "\n", `\n`), s.redis.redis.Type(key)))
	}
	return strings.Join(all, "; ")
}

// hanging returns the status, and how long it took, in whole seconds from one on: some
// clients pause at random between their attempts.
func hanging(s *running) string {
	s.do(call{key: "alice"})
	resume := s.redis.hang()
	defer resume()
	start := time.Now()
	got := statuses([]answer{s.do(call{key: "alice"})})
	took := time.Since(start)
	if took >= time.Second {
		return fmt.Sprintf("%s, after more than %s", got, spell(took.Truncate(time.Second)))
	}
	return fmt.Sprintf("%s, after %s", got, spell(took))
}

// repeated returns the headers of an answer that hold what the caller sent.
func repeated(s *running) string {
	var names []string
	for name, values := range s.do(call{key: "alice", header: forwarded(7)}).header {
		if strings.Contains(strings.Join(values, ","), "198.51.100.7") {
			names = append(names, "`"+name+"`")
		}
	}
	slices.Sort(names)
	return or(strings.Join(names, ", "), "none")
}

func spell(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}

func address(i int) string { return fmt.Sprintf("198.51.100.%d:1234", i) }

func forwarded(i int) http.Header {
	return http.Header{"X-Forwarded-For": {fmt.Sprintf("198.51.100.%d", i)}}
}

// statuses returns runs of equal ones: "5 × 200, 1 × 429".
func statuses(all []answer) string {
	var runs []string
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n].status == all[i].status {
			n++
		}
		status := strconv.Itoa(all[i].status)
		if all[i].status == 0 {
			status = "cut off"
		}
		runs = append(runs, fmt.Sprintf("%d × %s", n, status))
		i += n
	}
	return strings.Join(runs, ", ")
}
