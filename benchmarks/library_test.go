package main

import (
	"net/http"
	"testing"
	"time"
)

// Every library, set up as the suites do it, must allow and deny as asked:
// otherwise something else is measured than is said.
func TestLibrariesDecide(t *testing.T) {
	for _, set := range []setting{
		{Limit: limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Presized: true},
		{Limit: limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10},
		{Limit: limit{Tokens: 3, Per: time.Minute}, Keys: 10, Forget: time.Minute},
		{Limit: limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Two: true},
	} {
		for _, l := range libraries {
			if l.name == "clock" || l.name == "machine" {
				continue
			}
			decider, err := l.limiter(set)
			if err != nil {
				t.Fatal(l.name, err)
			}
			for _, n := range []int{1, 2} {
				for call := range 5 {
					if got, want := decider.Allow(newKey(n)), call < 3; got != want {
						t.Errorf("%s, %+v: call %d of key %d: allowed %v", l.name, set, call, n, got)
					}
				}
			}
		}
	}
}

func TestMiddlewaresDecide(t *testing.T) {
	for _, l := range libraries {
		if l.handler == nil {
			continue
		}
		served := 0
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served++
			w.WriteHeader(http.StatusOK)
		})
		handler, err := l.handler(setting{Limit: limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Presized: true}, bare)
		if err != nil {
			t.Fatal(l.name, err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.RemoteAddr = "192.0.2.1:1234"
		sink := newSink()
		for _, n := range []int{1, 2} {
			request.Header.Set(keyHeader, newKey(n))
			for call := range 5 {
				sink.clear()
				handler.ServeHTTP(sink, request)
				if got, want := sink.status, status(call >= 3); got != want {
					t.Errorf("%s: call %d of key %d: status %d, want %d", l.name, call, n, got, want)
				}
				if l.role != byHand && len(sink.Header()) == 0 {
					t.Errorf("%s sends no headers", l.name)
				}
			}
		}
		if served != 6 {
			t.Errorf("%s: the handler ran %d times, want 6", l.name, served)
		}
	}
}

func TestKeyHeaderIsCanonical(t *testing.T) {
	if got := http.CanonicalHeaderKey(keyHeader); got != keyHeader {
		t.Errorf("the canonical form is %s", got)
	}
}
