package chaos_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// table has the figures of the bouts. It is printed after all tests.
var table struct {
	mu   sync.Mutex
	rows []figures
}

// report logs the figures of a bout and keeps them for the table.
func (b *bout) report(f figures) {
	b.t.Helper()
	b.t.Logf("\n%s\n%v", figuresHead, f)
	table.mu.Lock()
	defer table.mu.Unlock()
	table.rows = append(table.rows, f)
}

// printTable prints the table, unless it is empty.
func printTable(w io.Writer) {
	table.mu.Lock()
	defer table.mu.Unlock()
	if len(table.rows) == 0 {
		return
	}
	slices.SortStableFunc(table.rows, byRow)
	_, _ = fmt.Fprintln(w, figuresHead)
	for _, row := range table.rows {
		_, _ = fmt.Fprintln(w, row)
	}
}
