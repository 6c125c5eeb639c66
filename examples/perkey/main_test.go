package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

// TestDemo: under 500 calls a second the file is edited, broken and edited. Within a second of
// each edit its limits hold; no call fails; each plan is admitted what it ought to be, within
// one burst.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	r, err := demo(t.Context(), &out)
	t.Logf("\n%s", &out)
	if err != nil {
		t.Error(err)
	}
	if r.failed != nil || len(r.rows) != 9 || len(r.held) != 2 || r.slowest <= 0 {
		t.Errorf("%+v", r)
	}
	for _, row := range r.rows {
		// Each phase was long enough, and had calls enough, to tell its limit from another.
		if row.ideal < float64(row.perSecond)*2 || float64(row.calls) < 1.5*row.ideal {
			t.Errorf("too little to tell anything: %+v", row)
		}
	}
	if text := out.String(); strings.Count(text, " is in force after ") != 2 || strings.Count(text, "stay in force") != 1 || !strings.Contains(text, "limits.yaml:3:1: found a tab") {
		t.Errorf("the events are not printed:\n%s", text)
	}
}

// TestVerdict: each fault that the demo looks for is found.
func TestVerdict(t *testing.T) {
	begin := time.Now()
	phases := newPhases()
	phases[0].ended, phases[1].saved, phases[1].begun = begin.Add(time.Second), begin.Add(time.Second), begin.Add(time.Second)
	phases[1].ended, phases[2].saved, phases[2].begun = begin.Add(2*time.Second), begin.Add(2*time.Second), begin.Add(2*time.Second)
	phases[2].ended = begin.Add(3 * time.Second)
	// right makes the answers that the limits ought to give.
	right := func() (answers []answer) {
		for _, key := range members {
			plan, _, _ := strings.Cut(key, "-")
			for i, p := range phases {
				burst := p.perSecond[plan]
				n := burst
				if i == 0 {
					n *= 2
				} else {
					n += max(burst-phases[i-1].perSecond[plan], 0)
				}
				at := begin.Add(time.Duration(i) * time.Second)
				for range n {
					answers = append(answers, answer{key: key, sent: at, done: at.Add(time.Millisecond), admitted: true, limit: strconv.Itoa(burst)})
				}
			}
		}
		return answers
	}
	for _, test := range []struct {
		want   string
		change func([]answer) []answer
	}{
		{"", func(a []answer) []answer { return a }},
		{"plan gold admitted 101 in phase 1: more than one burst, of 20, from the ideal 80.0", func(a []answer) []answer {
			for range 21 {
				a = append(a, a[0])
			}
			return a
		}},
		{"edit 1 took 1.001s to hold", func(a []answer) []answer {
			a[0].done = begin.Add(2001 * time.Millisecond)
			return a
		}},
		{"EOF", func(a []answer) []answer { return append(a, answer{key: "gold-1", err: io.EOF}) }},
	} {
		err := count(phases, test.change(right())).verdict()
		if (err == nil) != (test.want == "") || err != nil && err.Error() != test.want && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// A transcript is what a program prints, read while it does.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// await waits for a line.
func (t *transcript) await(test *testing.T, pattern string) []string {
	test.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(t.String()); found != nil {
			return found
		}
	}
	test.Fatalf("no %q in\n%s", pattern, t)
	return nil
}

// started serves a copy of limits.yaml until the test ends.
func started(t *testing.T) (string, string, *transcript) { // the file, the API, what is printed
	t.Helper()
	path, out := filepath.Join(t.TempDir(), "limits.yaml"), new(transcript)
	if err := os.WriteFile(path, []byte(limitsYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-limits", path}, out, out) }()
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != 0 {
			t.Errorf("exit status %d:\n%s", status, out)
		}
	})
	return path, out.await(t, `Serving (http://\S+/) with 3 plans and 8 keys`)[1], out
}

// limitOf calls once and returns the limit in the response.
func limitOf(t *testing.T, url, key string) string {
	t.Helper()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Header.Get(middleware.HeaderPolicy)
}

// TestServe: each key has the limits of the file, before and after it is edited.
func TestServe(t *testing.T) {
	path, url, out := started(t)
	for key, want := range map[string]string{
		"gold-1": `"default";q=20;w=1`, "silver-2": `"default";q=10;w=1`, "anyone": `"default";q=2;w=1`, "monitoring": "", "batch": `"default";q=10;w=1, "daily";q=1000;w=86400`,
	} {
		if got := limitOf(t, url, key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if err := os.WriteFile(path, []byte("default: 3/s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out.await(t, "is in force after .*: 0 plans, 0 keys\n")
	if got, want := limitOf(t, url, "gold-1"), `"default";q=3;w=1`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestFlags: what cannot be is said, with the exit status for it.
func TestFlags(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"default": 5}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-h"}, 0, "-limits"},
		{[]string{"-x"}, 2, "-x"},
		{[]string{"my.yaml"}, 2, "such as -limits other.json"},
		{[]string{"-limits", "none.yaml"}, 1, "none.yaml: found a file that cannot be opened"},
		{[]string{"-limits", bad}, 1, "bad.json:1:13: default: found the number 5"},
		{[]string{"-addr", "256.0.0.1:0"}, 1, "choose another address"},
	} {
		out := new(transcript)
		if status := run(t.Context(), test.args, out, out); status != test.status || !strings.Contains(out.String(), test.want) {
			t.Errorf("%q: status %d, %s; want %d and %q", test.args, status, out, test.status, test.want)
		}
	}
}
