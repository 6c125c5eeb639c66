package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args string
		want options
	}{
		{"", options{"localhost:8080", ratelimit.PerSecond(5), false}},
		{"-limit 100/1m", options{"localhost:8080", ratelimit.PerMinute(100), false}},
		{"-limit=1000/24h;burst=50 -addr localhost:0", options{"localhost:0", ratelimit.PerDay(1000).WithBurst(50), false}},
		{"-demo -limit 2/s", options{"localhost:8080", ratelimit.PerSecond(2), true}},
	} {
		got, err := parse(strings.Fields(c.args), io.Discard)
		if err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

// TestListensOnThisMachineOnly unless it is asked for more.
func TestListensOnThisMachineOnly(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	host, _, err := net.SplitHostPort(o.addr)
	if ips, lookup := net.DefaultResolver.LookupHost(t.Context(), host); err != nil || lookup != nil || host == "" {
		t.Fatalf("%q: %v, %v", o.addr, err, lookup)
	} else {
		for _, ip := range ips {
			if !net.ParseIP(ip).IsLoopback() {
				t.Errorf("%q listens on %s", o.addr, ip)
			}
		}
	}
}

func TestBadFlagsAreNamedAndTheFixShown(t *testing.T) {
	busy := listen(t)
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"-limit 5x", 2, []string{"-limit", `"5x"`, `such as "5/s"`}},
		{"-limit 0/s", 2, []string{"-limit", "Rate 0", "must be from 1"}},
		{"-limit 5/s;burst=-1", 2, []string{"-limit", "burst", "at least 1"}},
		{"-addr 8080", 2, []string{"-addr", `"8080"`, "such as -addr localhost:8081"}},
		{"-addr :0 -demo", 2, []string{"-addr", "-demo", "leave one of them out"}},
		{"-limt 5/s", 2, []string{"-limt", "-limit"}},
		{"100/1m", 2, []string{`"100/1m"`, "-limit 100/1m"}},
		{"-addr " + busy.Addr().String(), 1, []string{"-addr", busy.Addr().String(), "choose another"}},
		{"-h", 0, []string{"-addr", "-demo", "-limit"}},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(c.args), &out, &errs); status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", c.args, want, &errs)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed to stdout:\n%s", c.args, &out)
		}
	}
}

func TestServesUntilInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot interrupt itself there")
	}
	p := start(t, "-addr", "127.0.0.1:0", "-limit", "3/1h")
	if status := get(t, p.url, "alice").status; status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	output := p.end(t)
	if !strings.Contains(output, "Shut down.") {
		t.Errorf("the end is not printed:\n%s", output)
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.Trim(p.url, "htp:/")); err == nil {
		conn.Close()
		t.Error("a listener is left")
	}
}

func TestPrintsWhatToTryAndALineForEachDecisionWithoutTheKey(t *testing.T) {
	const key = "canary-7f3a9c"
	p := start(t, "-addr", "127.0.0.1:0", "-limit", "2/1h")
	for range 3 {
		get(t, p.url, key)
	}
	get(t, p.url, "canary-another")
	get(t, p.url, "")
	get(t, p.url+"healthz", key)
	p.stop()
	output := p.end(t)

	if !strings.Contains(output, "curl -i -H 'X-API-Key: alice' "+p.url) || !strings.Contains(output, "$(seq 5)") {
		t.Errorf("what to try is missing:\n%s", output)
	}
	if strings.Contains(output, "canary") {
		t.Errorf("a key was printed:\n%s", output)
	}
	decision := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{6} (key [0-9a-f]{8}|no key, from 127\.0\.0\.1)  (.*)$`)
	var who, what []string
	for _, m := range decision.FindAllStringSubmatch(output, -1) {
		who, what = append(who, m[1]), append(what, m[2])
	}
	want := []string{
		"allowed  1 of 2 left", "allowed  0 of 2 left", "denied   0 of 2 left, retry after ",
		"allowed  1 of 2 left", "allowed  1 of 2 left",
	}
	if len(what) != len(want) {
		t.Fatalf("%d lines of decisions, want %d:\n%s", len(what), len(want), output)
	}
	for i := range want {
		if !strings.HasPrefix(what[i], want[i]) {
			t.Errorf("decision %d is %q, want %q", i, what[i], want[i])
		}
	}
	if who[0] != who[1] || who[1] != who[2] || who[2] == who[3] || who[4] != "no key, from 127.0.0.1" {
		t.Errorf("the log does not distinguish the callers: %q", who)
	}
}

// A program is a run of the quickstart that serves.
type program struct {
	url    string
	stop   context.CancelFunc
	status chan int
	output chan string // all of it, at the end
	errs   bytes.Buffer
}

// start runs the quickstart until it says where it serves.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	p := &program{stop: stop, status: make(chan int, 1), output: make(chan string, 1)}
	r, w := io.Pipe()
	go func() {
		defer w.Close()
		p.status <- run(ctx, args, w, &p.errs)
	}()
	lines := bufio.NewReader(r)
	first, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("run ended with status %d: %s", <-p.status, &p.errs)
	}
	if p.url = regexp.MustCompile(`http://[0-9.:]+/`).FindString(first); p.url == "" {
		t.Fatalf("no address in %q", first)
	}
	go func() {
		rest, _ := io.ReadAll(lines)
		p.output <- first + string(rest)
	}()
	return p
}

// end waits for the end of the program and returns what it has printed.
func (p *program) end(t *testing.T) string {
	t.Helper()
	if status := <-p.status; status != 0 || p.errs.Len() > 0 {
		t.Errorf("status %d, errors %q", status, &p.errs)
	}
	return <-p.output
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
