package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: it waits as the denial says")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-demo", "-limit", "2/s"}, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q, output\n%s", status, &errs, &out)
	}
	// A slow machine may be admitted more often before it is denied.
	want := regexp.MustCompile(`^GET http://127\.0\.0\.1:\d+/ with one X-API-Key, limited to 2/s

(200 OK  Ratelimit-Policy: "default";q=2;w=1  Ratelimit: "default";r=[01];t=1  X-Rate-Limit-Limit: 2  X-Rate-Limit-Remaining: [01]
){2,}429 Too Many Requests
    Ratelimit-Policy: "default";q=2;w=1
    Ratelimit: "default";r=0;t=1
    X-Rate-Limit-Limit: 2
    X-Rate-Limit-Remaining: 0
    Retry-After: 1
    Retry-After-Ms: \d+
    Content-Type: application/problem\+json

    {"type":.*"title":"Quota Exceeded","status":429,.*"retry_after_ms":\d+}

Waiting \d+ ms, as Retry-After-Ms says\.

200 OK  .*

Denied at the limit, admitted after the wait\.
$`)
	if !want.Match(out.Bytes()) {
		t.Errorf("the output is not as wanted:\n%s", &out)
	}
}

func TestDemoDoesNotWaitForAnHour(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-demo", "-limit", "1/1h"}, &out, &errs); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if !strings.Contains(out.String(), "\n429 Too Many Requests\n") {
		t.Errorf("the denial is not shown:\n%s", &out)
	}
	for _, want := range []string{"would be admitted after", "1m0s at most", "-limit 5/s"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is missing in %q", want, &errs)
		}
	}
}

func TestDemoGivesUpOnALimitOutOfReach(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-demo", "-limit", "1000000/s"}, &out, &errs); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	for _, want := range []string{"not denied in 1000 calls", "-limit 5/s"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("%q is missing in %q", want, &errs)
		}
	}
}

func TestDemoEndsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// The program is interrupted when it prints that it waits, a minute before the end.
	out := writerFunc(func(b []byte) {
		if bytes.Contains(b, []byte("Waiting")) {
			stop()
		}
	})
	var errs bytes.Buffer
	if status := run(ctx, []string{"-demo", "-limit", "2/100s"}, out, &errs); status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	if !strings.Contains(errs.String(), context.Canceled.Error()) {
		t.Errorf("the reason is not printed: %q", &errs)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}
