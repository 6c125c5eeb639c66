package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// A printer shows a run as go test does: a line for each package, and what the tests
// printed that failed; or if it is verbose, what all of them printed.
type printer struct {
	verbose        bool
	out, results   io.Writer
	outputs        map[string]*strings.Builder // by package and test: what it has printed so far
	passed, failed int
}

func (p *printer) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			if err := p.line(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *printer) line(line string) error {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil { // such as a fault of the go command itself
		_, err := io.WriteString(p.out, line)
		return err
	}
	id := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if p.verbose {
			_, err := io.WriteString(p.out, e.Output)
			return err
		}
		if p.outputs[id] == nil {
			p.outputs[id] = new(strings.Builder)
		}
		p.outputs[id].WriteString(e.Output)
	case "build-output":
		_, err := io.WriteString(p.out, e.Output)
		return err
	case "build-fail":
		p.failed++
	case "pass", "fail", "skip":
		return p.end(id, e)
	}
	return nil
}

// end shows and notes what a test or, if e names none, a package came to.
func (p *printer) end(id string, e event) error {
	printed := ""
	if b := p.outputs[id]; b != nil {
		printed = b.String()
		delete(p.outputs, id)
	}
	if e.Action == "fail" {
		p.failed++
	}
	if e.Test == "" {
		return p.endPackage(printed, e)
	}
	if e.Action == "pass" {
		p.passed++
	}
	if e.Action == "fail" {
		if _, err := io.WriteString(p.out, printed); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.results, "%s %s %s\n", e.Action, e.Package, e.Test)
	return err
}

// endPackage shows what a package printed: the last lines if it passed, and if it failed
// everything, with that of tests that did not end.
func (p *printer) endPackage(printed string, e event) error {
	if e.Action == "fail" {
		for id, b := range p.outputs {
			if strings.HasPrefix(id, e.Package+" ") {
				printed = b.String() + printed
				delete(p.outputs, id)
			}
		}
	} else {
		lines := strings.SplitAfter(strings.TrimRight(printed, "\n"), "\n")
		printed = lines[len(lines)-1]
		if printed != "" {
			printed += "\n"
		}
	}
	_, err := io.WriteString(p.out, printed)
	return err
}
