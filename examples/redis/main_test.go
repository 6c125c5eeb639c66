package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/internal/testkit"
)

const table = `
                    calls  admitted   denied
A alone                20        10       10
A, in turn with B      10         5        5
B, in turn with A      10         5        5
A and B together       20        10       10

Two servers admit what one does: 10 calls, not 20.
`

func TestTwoServersAdmitWhatOneDoes(t *testing.T) {
	testkit.Long(t, "needs real time: its calls must be made within 5 s")
	var out, errs bytes.Buffer
	start := time.Now()
	if status := run(t.Context(), nil, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	if took := time.Since(start); took > atMost {
		t.Errorf("it took %v", took)
	}
	want := "Two servers, one limit of 10/m for each X-API-Key, shared through a Redis inside of this program.\n" + table
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
}

func TestGivenRedis(t *testing.T) {
	testkit.Long(t, "needs real time: its calls must be made within 5 s")
	given := miniredis.RunT(t)
	given.RequireAuth("secret")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-redis", "redis://:secret@" + given.Addr()}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	if !strings.HasSuffix(out.String(), table) || !strings.Contains(out.String(), "the Redis that -redis names") {
		t.Errorf("printed\n%s", &out)
	}
	if strings.Contains(out.String()+errs.String(), "secret") {
		t.Error("the password was printed")
	}
	if len(given.Keys()) == 0 {
		t.Error("nothing is in the Redis that was given")
	}
}

func TestFaultsAreNamedAndTheFixShown(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused := listener.Addr().String()
	_ = listener.Close()
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"-redis redis://" + unused, 1, []string{"connect", "leave -redis out"}},
		{"-redis localhost", 1, []string{"redis://"}},
		{"-reds x", 2, []string{"-reds", "-redis"}},
		{"redis://localhost", 2, []string{"redis://localhost", "-redis redis://localhost:6379"}},
		{"-h", 0, []string{"-redis URL"}},
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
