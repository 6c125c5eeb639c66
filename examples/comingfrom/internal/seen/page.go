package seen

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tables of a page begin with these cells.
const (
	headerTable = "| in the response | before: admitted | before: denied | after: admitted | after: denied |"
	factTable   = "| calls | before | after |"
)

// absent stands in a cell for a header that a response does not have.
const absent = "–"

// A page is a page of docs/coming-from, and what it has been compared with so far.
type page struct {
	t     *testing.T
	path  string
	text  string
	known map[string][]string // the rows of each table that were compared
}

func open(t *testing.T, path string) *page {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &page{t: t, path: path, text: strings.ReplaceAll(string(text), "\r\n", "\n"), known: map[string][]string{}}
}

// close writes the page if it is to be updated, and else looks for rows of facts that
// do not exist.
func (p *page) close() {
	p.t.Helper()
	if *update {
		if err := os.WriteFile(p.path, []byte(p.text), 0o600); err != nil {
			p.t.Fatal(err)
		}
		return
	}
	_, rows := p.table(factTable)
	for _, row := range rows {
		if name := cells(row)[0]; !slices.Contains(p.known[factTable], name) {
			p.t.Errorf("%s has a row %q, which nothing checks", p.path, name)
		}
	}
}

// block compares a fenced block in a language, or writes it.
func (p *page) block(language string, side Side, want string) {
	p.t.Helper()
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	all := fence.FindAllStringSubmatchIndex(p.text, -1)
	if len(all) < 2 {
		p.t.Fatalf("%s has %d blocks of %s, want 2", p.path, len(all), language)
	}
	from, to := all[side][2], all[side][3]
	if *update {
		p.text = p.text[:from] + want + p.text[to:]
		return
	}
	if got := p.text[from:to]; got != want {
		p.t.Errorf("block %d of %s in %s is\n%swant\n%s", side, language, p.path, got, want)
	}
}

// headers compares a column of the table of headers with a response: each header has
// a row, and the others say that it is absent.
func (p *page) headers(column int, a answer) {
	p.t.Helper()
	want := map[string]string{"status": strconv.Itoa(a.status)}
	for name, values := range a.header {
		want["`"+name+"`"] = "`" + strings.Join(values, ", ") + "`"
	}
	_, rows := p.table(headerTable)
	for _, row := range rows {
		name := cells(row)[0]
		p.cell(headerTable, name, column, or(want[name], absent))
		delete(want, name)
	}
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.cell(headerTable, name, column, want[name])
	}
}

// fact compares a cell of the table of calls.
func (p *page) fact(name string, column int, want string) {
	p.t.Helper()
	p.known[factTable] = append(p.known[factTable], name)
	p.cell(factTable, name, column, want)
}

// cell compares a cell, or writes it, in a new row if there is none of that name.
func (p *page) cell(table, name string, column int, want string) {
	p.t.Helper()
	at, rows := p.table(table)
	for i, row := range rows {
		all := cells(row)
		switch {
		case all[0] != name:
			at += len(row)
		case *update:
			all[column] = want
			p.text = p.text[:at] + "| " + strings.Join(all, " | ") + " |\n" + p.text[at+len(row):]
			return
		case all[column] != want:
			p.t.Errorf("%s, row %d, %q: column %d is %q, want %q", p.path, i+1, name, column, all[column], want)
			return
		default:
			return
		}
	}
	if !*update {
		p.t.Errorf("%s has no row %q whose column %d is %q", p.path, name, column, want)
		return
	}
	empty := slices.Repeat([]string{absent}, strings.Count(table, "|"))
	empty[0], empty[column], empty[len(empty)-1] = name, want, ""
	p.text = p.text[:at] + "| " + strings.Join(empty, " | ") + " |\n" + p.text[at:]
}

// table returns where the rows of a table begin, and its rows.
func (p *page) table(start string) (at int, rows []string) {
	p.t.Helper()
	at = strings.Index(p.text, start)
	if at < 0 {
		p.t.Fatalf("%s has no table that begins with %s", p.path, start)
	}
	for range 2 { // the names of the columns, and the line below
		at += strings.Index(p.text[at:], "\n") + 1
	}
	for line := range strings.Lines(p.text[at:]) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, line)
	}
	return at, rows
}

// cells returns the cells of a row. No cell may hold a bar.
func cells(row string) []string {
	all := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}
