package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// row is a line of the table: denials, failures, seconds, and the calls of the worker
// with the fewest and of the one with the most.
const row = ` +\d+ +(\d+) +(\d+) +(\d+)\.\ds +\d+\.\d  (\d+) to (\d+)\n`

var table = regexp.MustCompile(`
                      calls   denied  failed    time  calls/s  served for a worker
tried again by hand ` + row + `with the transport  ` + row + `
With the transport \d+ requests were denied instead of \d+, and \d+ calls failed in the end instead of \d+\.
$`)

type line struct{ denied, failed, seconds, least, most int }

// read returns the lines of the table.
func read(t *testing.T, out string) (byHand, transport line) {
	t.Helper()
	found := table.FindStringSubmatch("\n" + out)
	if found == nil {
		t.Fatalf("the output is not as wanted:\n%s", out)
	}
	var n [10]int
	for i := range n {
		n[i], _ = strconv.Atoi(found[1+i]) // of digits
	}
	return line{n[0], n[1], n[2], n[3], n[4]}, line{n[5], n[6], n[7], n[8], n[9]}
}

// A network carries requests to a handler in this process, so that time is the test's.
type network struct{ handler http.Handler }

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(time.Millisecond)
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	time.Sleep(time.Millisecond)
	return w.Result(), nil
}

func TestTransportIsRarelyDeniedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := newAPI(ratelimit.PerSecond(5))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := compare(t.Context(), network{api}, options{url: "http://api/", workers: 20, calls: 60}, &out); err != nil {
			t.Fatal(err)
		}
		byHand, transport := read(t, out.String())
		if byHand.denied < 60 { // a place in the API's queue saves nearly all of its calls in the end
			t.Errorf("by hand it goes well, so that nothing is shown:\n%s", &out)
		}
		// 5 calls at once, and 55 that take 11 s.
		if transport.denied > 2 || transport.failed > 0 || transport.least < 2 || transport.most > 4 || transport.seconds < 11 || transport.seconds > 12 {
			t.Errorf("with the transport there should be 2 denials at most, none in the end, 2 to 4 calls of each worker, and 11 to 12 s:\n%s", &out)
		}
	})
}

func TestCallsItsOwnAPI(t *testing.T) {
	testkit.Long(t, "needs real time: it waits as Retry-After says")
	var out, errs bytes.Buffer
	if status := run(t.Context(), strings.Fields("-workers 4 -calls 24 -limit 20/s"), &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q, output\n%s", status, &errs, &out)
	}
	if _, transport := read(t, out.String()); transport.failed > 0 {
		t.Errorf("calls failed with the transport:\n%s", &out)
	}
	if want := "4 workers share one key of an API that is limited to 20/s, and make 24 calls.\n"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("it does not begin with %q:\n%s", want, &out)
	}
}

func TestCallsAnotherAPI(t *testing.T) {
	api, err := newAPI(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-url", server.URL, "-workers", "2", "-calls", "4"}, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q, output\n%s", status, &errs, &out)
	}
	if byHand, transport := read(t, out.String()); byHand.failed+transport.failed+byHand.denied+transport.denied > 0 {
		t.Errorf("calls were denied, and each key may make 5:\n%s", &out)
	}
}

func TestFaultsAreNamedAndTheFixShown(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"-url " + broken.URL, 1, []string{"status 404"}},
		{"-url localhost", 1, []string{"unsupported protocol"}},
		{"-url http://localhost -limit 5/s", 2, []string{"-limit", "leave one of them out"}},
		{"-workers 0", 2, []string{"-workers 20"}},
		{"-calls -1", 2, []string{"-calls 60"}},
		{"-limit 5", 2, []string{"-limit", "5/s"}},
		{"5/s", 2, []string{`"5/s"`, "-workers 5"}},
		{"-h", 0, []string{"-url URL"}},
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
	}
}

func TestEndsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	var out, errs bytes.Buffer
	if status := run(ctx, strings.Fields("-limit 1/m"), &out, &errs); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if !strings.Contains(errs.String(), context.DeadlineExceeded.Error()) {
		t.Errorf("the reason is not printed: %q", &errs)
	}
}
