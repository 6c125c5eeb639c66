package redis

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// Every library, set up as the suite does it, must allow and deny as asked.
func TestRedisLibrariesDecide(t *testing.T) {
	server := Require(t)
	for i, l := range redisLibraries {
		if l.bare && !l.exceeds {
			continue
		}
		for _, s := range []Setting{
			{Network: "tcp", Address: server.TCP, Limit: library.Limit{Tokens: 3, Per: 24 * time.Hour}},
			{Network: "unix", Address: server.socket, Limit: library.Limit{Tokens: 3, Per: 24 * time.Hour}, Pool: 64},
		} {
			limiter, err := l.open(s)
			if err != nil {
				t.Fatal(l.name, err)
			}
			key := load.NewKey(10*i + len(s.Network))
			for call := range 5 {
				got, err := limiter.Allow(t.Context(), key)
				if err != nil || got != (call < 3) {
					t.Errorf("%s, %s: call %d: allowed %v, %v", l.name, s.Network, call, got, err)
				}
			}
			if err := limiter.Close(); err != nil {
				t.Error(l.name, err)
			}
		}
	}
}

// TestRedisIsMeasured checks the figures that can be known beforehand.
func TestRedisIsMeasured(t *testing.T) {
	server := Require(t)
	l, err := startLink(t.Context(), server.socket, linkDelay)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	networks := map[string]string{tcp: server.TCP, unixSocket: server.socket, longLink: l.address}
	trips := map[string]float64{library.Ours: 1, withLeases: 1, "redis_rate": 1, "ulule": 1, "throttled": 2, "bare GET": 1, autoPipeline: 1}
	for i, name := range []string{library.Ours, withLeases, "redis_rate", autoPipeline, "throttled", "ulule", "bare GET"} {
		c, err := child.Start(t.Context(), "redis", name, redisHire{Library: name, First: 2 * redisKeys * i, Networks: networks})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Do(redisOrder{Prime: true}, nil); err != nil {
			t.Fatal(err)
		}
		for _, o := range []redisOrder{
			{Callers: 1, Keys: redisKeys, Network: tcp},
			{Callers: 32, Keys: redisKeys, Network: unixSocket},
			{Callers: 2, Keys: 1, Network: longLink},
		} {
			o.Span = 20 * time.Millisecond
			var found report.Figures
			for try := range 50 { // a busy machine may call too seldom for a lease
				if err := c.Do(o, &found); err != nil {
					t.Fatal(err)
				}
				if o.Network != longLink || name != withLeases || found["p50_us"] <= 100 {
					break
				}
				t.Logf("try %d: %v", try, found)
			}
			if found["per_second"] <= 0 || found["p99_us"] < found["p50_us"] || found["p50_us"] <= 0 || found["redis_cpu_us"] <= 0 || found["connections"] < 1 {
				t.Errorf("%s, %+v: %v", name, o, found)
			}
			if o.Network == longLink && found["p50_us"] < 1000 && name != withLeases {
				t.Errorf("%s: %v over a link of 1 ms", name, found)
			}
			if want := trips[name]; want > 0 && o.Callers == 1 && (found["trips"] < 0.99*want || found["trips"] > 1.01*want) {
				t.Errorf("%s: %v trips, want %v", name, found["trips"], want)
			}
			if o.Network == longLink && name == withLeases && found["p50_us"] > 100 {
				t.Errorf("%s: %v over a link of 1 ms: its key is busy", name, found)
			}
			if o.Callers == 32 && name == library.Ours && (found["trips"] >= 1 || found["connections"] > keyratePool) {
				t.Errorf("calls of keyrate share no trips: %v", found)
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A wrong path must not be measured: here keys are allowed whose calls were to be
// denied, as they were never called before.
func TestRedisReportsWrongAnswers(t *testing.T) {
	server := Require(t)
	c, err := child.Start(t.Context(), "redis", library.Ours, redisHire{Library: library.Ours, Networks: map[string]string{tcp: server.TCP, unixSocket: server.socket}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop() }()
	err = c.Do(redisOrder{Callers: 1, Keys: redisKeys, Denied: true, Network: tcp, Span: time.Millisecond}, nil)
	if err == nil || !regexp.MustCompile("wrong answers").MatchString(err.Error()) {
		t.Errorf("got %v, want an error about wrong answers", err)
	}
	for range 2 {
		err = errors.Join(err, c.Do(redisOrder{Prime: true, Denied: true}, nil))
	}
	if err == nil {
		t.Error("keys could be called for the first time twice")
	}
}

func TestRedisSuite(t *testing.T) {
	_ = Require(t)
	var out, log bytes.Buffer
	err := report.Command(t.Context(), []report.Suite{Suite}, []string{"redis", "-quick", "-library", "keyrate,redis_rate", "-case", "callers=(1|64)/keys=10000/allow/(tcp|link)", "-json", "-"}, &out, &log)
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(&out)
	got := map[string]bool{}
	for lines.More() {
		var line struct {
			Suite, Case, Library string
			PerSecond            float64 `json:"per_second"`
			P50                  float64 `json:"p50_us"`
			P99                  float64 `json:"p99_us"`
			CPU                  float64 `json:"redis_cpu_us"`
			Trips                float64
		}
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if line.Suite != "redis" || line.PerSecond <= 0 || line.P50 <= 0 || line.P99 <= 0 || line.CPU <= 0 || line.Trips <= 0 {
			t.Errorf("%+v", line)
		}
		got[line.Case+" "+line.Library] = true
	}
	for _, want := range []string{
		"callers=1/keys=10000/allow/tcp keyrate",
		"callers=64/keys=10000/allow/tcp redis_rate (wide pool)",
		"callers=64/keys=10000/allow/link-1ms keyrate",
	} {
		if !got[want] {
			t.Errorf("no line for %s; got %v", want, got)
		}
	}
	if !bytes.Contains(log.Bytes(), []byte("goals of suite redis:")) {
		t.Errorf("no goals in\n%s", log.String())
	}
}

func TestRedisThatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context()); !errors.Is(err, errNoRedis) {
		t.Errorf("got %v", err)
	}
}

// Every goal and every column must name a case that is measured: without figures it
// is silently left out.
func TestRedisGoalsNameCases(t *testing.T) {
	s := &report.Session{}
	for _, denied := range []bool{false, true} {
		for _, c := range redisCases(denied, false) {
			for _, l := range redisLibraries {
				s.Add("redis", c.String(), l.name, report.Figures{"per_second": 1, "p50_us": 1, "redis_cpu_us": 1, "connections": 1, "goroutines": 1, "cpu_ns": 1, "p99_us": 1})
				s.Add("redis", exceedKase, l.name, report.Figures{"over_tokens": 0, "over_percent": 0, "of_bound": 1, "demand": 1})
			}
		}
		for _, c := range redisCases(denied, true) {
			if !slices.Contains(redisCases(denied, false), c) {
				t.Errorf("%s is measured with -quick alone", c)
			}
		}
	}
	if got, want := len(redisGoals(s)), 2*(2*5+1)+2+4+5; got != want {
		t.Errorf("%d goals, want %d", got, want)
	}
	for _, v := range redisViews(s) {
		for _, c := range v.Columns {
			if s.Find(c.Kase, library.Ours) == nil {
				t.Errorf("%s: no case %s", v.Title, c.Kase)
			}
		}
	}
}

func TestParseInfo(t *testing.T) {
	before := parseInfo("# CPU\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\n")
	after := parseInfo("# CPU\r\nused_cpu_sys:2\r\nused_cpu_user:3.25\r\nredis_version:7.0.15\r\ncmdstat_evalsha:calls=10,usec=70,usec_per_call=7.00\r\n")
	if got := after.Since(before, "used_cpu_sys", "used_cpu_user"); got != 1.5 {
		t.Errorf("got %v", got)
	}
	if got := after.Since(before, "evalsha.calls", "eval.calls"); got != 10 {
		t.Errorf("got %v", got)
	}
	if got := after["evalsha.usec"]; got != 70 {
		t.Errorf("got %v", got)
	}
}
