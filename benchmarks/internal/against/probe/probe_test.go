package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// do sends a worker an order, as its parent would.
func do(t *testing.T, w child.Worker, order any) (map[string]float64, error) {
	t.Helper()
	args, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	found, err := w.Do(args)
	figures, _ := found.(map[string]float64)
	return figures, err
}

// TestCasesAreMeasured: every kind of case gives right answers and positive times.
func TestCasesAreMeasured(t *testing.T) {
	m := &memoryWorker{}
	for _, denied := range []bool{false, true} {
		for _, o := range []memoryOrder{
			{Keys: 1, Distribution: load.Uniform, Callers: 1, Limits: 1},
			{Keys: 1, Distribution: load.Uniform, Callers: 2, Limits: 1},
			{Keys: 100, Distribution: load.Zipf, Callers: 1, Limits: 2},
		} {
			o.Denied = denied
			t.Run(fmt.Sprintf("memory %+v", o), func(t *testing.T) {
				if _, err := do(t, m, o); err != nil {
					t.Fatal(err)
				}
				o.Span = time.Millisecond
				if found, err := do(t, m, o); err != nil || found["ns"] <= 0 {
					t.Errorf("%v, %v", found, err)
				}
			})
		}
		o := middlewareOrder{Keys: 100, Denied: denied}
		t.Run(fmt.Sprintf("middleware %+v", o), func(t *testing.T) {
			w := &middlewareWorker{}
			if _, err := do(t, w, o); err != nil {
				t.Fatal(err)
			}
			o.Span = time.Millisecond
			if found, err := do(t, w, o); err != nil || found["ns"] <= 0 || found["allocs"] > 100 {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

// TestWrongAnswersEndTheRun: a case whose answers are wrong must not be measured.
func TestWrongAnswersEndTheRun(t *testing.T) {
	w := &memoryWorker{}
	o := memoryOrder{Keys: 1, Distribution: load.Uniform, Callers: 1, Limits: 1, Denied: true}
	if _, err := do(t, w, o); err != nil {
		t.Fatal(err)
	}
	w.order.Denied, o.Span = false, time.Millisecond // and the limiter denies
	if _, err := do(t, w, o); err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("error %v", err)
	}
}

// TestSlicer: a time is the lower quartile of the slices, so that a slow one does not count.
func TestSlicer(t *testing.T) {
	now, slices := time.Duration(0), 0
	s := slicer{now: func() (time.Duration, error) { return now, nil }, work: func(calls int) error {
		slices++
		now += time.Duration(calls) * 10 * time.Microsecond
		if slices%3 == 0 {
			now += time.Second
		}
		return nil
	}}
	for range 9 {
		if err := s.slice(); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.result(); got != 10_000 || s.total != 9*s.calls {
		t.Errorf("%v ns, %d calls in slices of %d", got, s.total, s.calls)
	}
}

// TestMiddlewareOfBothKinds: RateLimit may return an error or not.
func TestMiddlewareOfBothKinds(t *testing.T) {
	if _, err := wrap(nil, results(nil, fmt.Errorf("no key"))); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("error %v", err)
	}
	if _, err := wrap(nil, results(3)); err == nil || !strings.Contains(err.Error(), "int") {
		t.Errorf("error %v", err)
	}
}
