package library

import (
	"net/http"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// Every library, set up as the suites do it, must allow and deny as asked:
// otherwise something else is measured than is said.
func TestLibrariesDecide(t *testing.T) {
	for _, set := range []Setting{
		{Limit: Limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Presized: true},
		{Limit: Limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10},
		{Limit: Limit{Tokens: 3, Per: time.Minute}, Keys: 10, Forget: time.Minute},
		{Limit: Limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Two: true},
	} {
		for _, l := range Libraries {
			if l.Name == "clock" || l.Name == "machine" {
				continue
			}
			decider, err := l.Limiter(set)
			if err != nil {
				t.Fatal(l.Name, err)
			}
			for _, n := range []int{1, 2} {
				for call := range 5 {
					if got, want := decider.Allow(load.NewKey(n)), call < 3; got != want {
						t.Errorf("%s, %+v: call %d of key %d: allowed %v", l.Name, set, call, n, got)
					}
				}
			}
		}
	}
}

func TestMiddlewaresDecide(t *testing.T) {
	for _, l := range Libraries {
		if l.Handler == nil {
			continue
		}
		served := 0
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			served++
			w.WriteHeader(http.StatusOK)
		})
		handler, err := l.Handler(Setting{Limit: Limit{Tokens: 3, Per: 24 * time.Hour}, Keys: 10, Presized: true}, bare)
		if err != nil {
			t.Fatal(l.Name, err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.RemoteAddr = "192.0.2.1:1234"
		sink := load.NewSink()
		for _, n := range []int{1, 2} {
			request.Header.Set(load.KeyHeader, load.NewKey(n))
			for call := range 5 {
				sink.Clear()
				handler.ServeHTTP(sink, request)
				if got, want := sink.Status, load.Status(call >= 3); got != want {
					t.Errorf("%s: call %d of key %d: status %d, want %d", l.Name, call, n, got, want)
				}
				if l.Role != ByHand && len(sink.Header()) == 0 {
					t.Errorf("%s sends no headers", l.Name)
				}
			}
		}
		if served != 6 {
			t.Errorf("%s: the handler ran %d times, want 6", l.Name, served)
		}
	}
}

func TestKeyHeaderIsCanonical(t *testing.T) {
	if got := http.CanonicalHeaderKey(load.KeyHeader); got != load.KeyHeader {
		t.Errorf("the canonical form is %s", got)
	}
}
