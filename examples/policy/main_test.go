package main

import (
	"bytes"
	"testing"
	"testing/synctest"
)

func TestBothLimitsDeny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		if err := run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		const want = `allowed, 2 left of per-second, the tighter limit
allowed, 1 left of per-second, the tighter limit
allowed, 0 left of per-second, the tighter limit
denied by per-second, retry after 333ms
    per-second  0 left, violated: true
    per-hour    2 left, violated: false
allowed, 0 left of per-second, the tighter limit
denied by per-second, retry after 333ms
    per-second  0 left, violated: true
    per-hour    1 left, violated: false
allowed, 0 left of per-second, the tighter limit
denied by per-hour, retry after 11m59.333s
    per-hour    0 left, violated: true
    per-second  0 left, violated: true
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", &out, want)
		}
	})
}
