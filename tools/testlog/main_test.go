package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	const start = `{"Action":"start","Package":"p"}` + "\n"
	for _, c := range []struct {
		name, in string
		status   int
		out      string
	}{
		{"a pass is one line", start + `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`, 0, "ok  \tp\t0.1s\n"},
		{"a failure shows what it printed", `{"Action":"output","Package":"p","Test":"TestA","Output":"p_test.go:1: wrong\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"fine\n"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`, 1, "p_test.go:1: wrong\nFAIL\tp\t0.1s\n"},
		{"a test that does not end is shown", `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`, 1, "panic: test timed out\nFAIL\tp\t0.1s\n"},
		{"what does not build is shown", `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`, 1, "p.go:1: syntax error\nFAIL\tp [build failed]\n"},
		{"nothing ran", `{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`, 1, "no test has passed: nothing was run\n"},
		{"not JSON", "go: cannot find main module\n", 1, "go: cannot find main module\nno test has passed: nothing was run\n"},
	} {
		var out, errs bytes.Buffer
		file := filepath.Join(t.TempDir(), "results")
		if status := run([]string{"run", file}, strings.NewReader(c.in), &out, &errs); status != c.status || out.String() != c.out || errs.Len() > 0 {
			t.Errorf("%s: status %d, printed %q, errors %q; want %d and %q", c.name, status, &out, &errs, c.status, c.out)
		}
	}
}

func TestVerbose(t *testing.T) {
	const in = `{"Action":"output","Package":"p","Test":"TestA","Output":"row 1\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`
	var out, errs bytes.Buffer
	if status := run([]string{"verbose", filepath.Join(t.TempDir(), "results")}, strings.NewReader(in), &out, &errs); status != 0 || out.String() != "row 1\nok  \tp\t0.1s\n" {
		t.Errorf("status %d, printed %q, errors %q", status, &out, &errs)
	}
}

func TestSkipped(t *testing.T) {
	pass := func(test string) string { return `{"Action":"pass","Package":"p","Test":"` + test + `"}` + "\n" }
	skip := func(test string) string { return `{"Action":"skip","Package":"p","Test":"` + test + `"}` + "\n" }
	for _, c := range []struct {
		name   string
		runs   []string
		status int
		out    string
	}{
		{"none", []string{pass("A")}, 0, "none"},
		{"passed in another run", []string{pass("A") + skip("B"), pass("A") + pass("B")}, 0, "none"},
		{"passed in an earlier run", []string{pass("B"), pass("A") + skip("B")}, 0, "none"},
		{"skipped in both", []string{pass("A") + skip("B"), pass("A") + skip("B")}, 1, "p.B"},
		{"a subtest", []string{pass("A") + skip("A/one two") + skip("C")}, 1, "p.A/one two, p.C"},
		{"skipped where another run has no such test", []string{pass("A") + skip("A/x"), pass("A")}, 1, "p.A/x"},
	} {
		file := filepath.Join(t.TempDir(), "results")
		var out, errs bytes.Buffer
		for _, events := range c.runs {
			run([]string{"run", file}, strings.NewReader(events), &out, &errs)
		}
		out.Reset()
		status := run([]string{"skipped", file}, nil, &out, &errs)
		if want := "tests skipped in every run: " + c.out + "\n"; status != c.status || out.String() != want || errs.Len() > 0 {
			t.Errorf("%s: status %d, printed %q, errors %q; want %d and %q", c.name, status, &out, &errs, c.status, want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}, {"walk", "x"}, {"skipped", filepath.Join(t.TempDir(), "none")}} {
		var out, errs bytes.Buffer
		if status := run(args, strings.NewReader(""), &out, &errs); status != 2 || errs.Len() == 0 {
			t.Errorf("%q: status %d, errors %q", args, status, &errs)
		}
	}
}
