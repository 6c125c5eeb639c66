// Testlog reads what go test -json prints, for .ci/run.
//
//	go test -json ./... | testlog run FILE       prints it as go test does, and notes each test in FILE
//	go test -json ./... | testlog verbose FILE   prints it as go test -v does
//	testlog skipped FILE                         prints the tests that were skipped in every run noted in FILE
//
// All exit with 1 on what CI must not let pass: run and verbose if a test failed or none
// passed, skipped if a test was skipped in every run.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(errs, "usage: go test -json ./... | testlog run FILE; or testlog skipped FILE")
		return 2
	}
	var ok bool
	var err error
	switch args[0] {
	case "run", "verbose":
		ok, err = note(args[1], in, out, args[0] == "verbose")
	case "skipped":
		ok, err = skipped(args[1], out)
	default:
		err = fmt.Errorf("there is no command %q; use run, verbose or skipped", args[0])
	}
	if err != nil {
		fmt.Fprintln(errs, "testlog:", err)
		return 2
	}
	if !ok {
		return 1
	}
	return 0
}

// note copies the events in to out as text, and appends the results to the named file.
func note(name string, in io.Reader, out io.Writer, verbose bool) (ok bool, err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	p := &printer{verbose: verbose, out: out, results: file, outputs: map[string]*strings.Builder{}}
	if err := p.read(in); err != nil {
		_ = file.Close()
		return false, err
	}
	if p.passed == 0 && p.failed == 0 {
		fmt.Fprintln(out, "no test has passed: nothing was run")
	}
	return p.failed == 0 && p.passed > 0, file.Close()
}

// skipped prints one line that names the tests that were skipped whenever they ran.
func skipped(name string, out io.Writer) (none bool, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	tests := skippedAlways(string(text))
	if len(tests) == 0 {
		_, err := fmt.Fprintln(out, "tests skipped in every run: none")
		return true, err
	}
	_, err = fmt.Fprintf(out, "tests skipped in every run: %s\n", strings.Join(tests, ", "))
	return false, err
}
