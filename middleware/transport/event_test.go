package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestObservePanics checks that a panic of Observe affects neither the call nor later
// events.
func TestObservePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		s := &script{answers: []answer{denial("Retry-After: 1"), ok, denial("Retry-After: 90"), denial("Retry-After: 90")}}
		tr := mustNew(t, s, transport.Config{Observe: func(context.Context, transport.Event) {
			events++
			panic("a hook")
		}})
		for _, want := range []int{200, 429} {
			if status, _ := do(t, tr, request(t, "https://api.example.com/")); status != want {
				t.Errorf("status %d, want %d", status, want)
			}
		}
		if _, late := errors.AsType[*transport.WaitError](errorOf(t, tr, request(t, "https://api.example.com/"))); !late {
			t.Error("want a WaitError")
		}
		if events != 7 {
			t.Errorf("%d events, want 7", events)
		}
	})
}

// TestObserve checks the events of requests that are denied or canceled.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		config := transport.Config{MaxRetries: 1, Observe: observer(func(e transport.Event) {
			got = append(got, fmt.Sprintln(e.Action, e.Host, e.Attempt, e.Status, e.Wait.Round(time.Second), e.Err))
		})}
		s := &script{answers: []answer{denial("Retry-After: 2"), ok, denial("Retry-After: 2"), denial("Retry-After: 2")}}
		tr := mustNew(t, s, config)
		do(t, tr, request(t, "https://user:secret@api.example.com/?secret"))
		do(t, tr, request(t, "https://user:secret@api.example.com/?secret"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = errorOf(t, tr, request(t, "https://user:secret@api.example.com/?secret").WithContext(ctx))
		want := []string{
			"sent api.example.com 1 0 0s <nil>\n",
			"denied api.example.com 1 429 2s <nil>\n",
			"sent api.example.com 2 0 2s <nil>\n",
			"answered api.example.com 2 200 0s <nil>\n",
			"sent api.example.com 1 0 0s <nil>\n", // one denial shows no rate
			"denied api.example.com 1 429 2s <nil>\n",
			"sent api.example.com 2 0 2s <nil>\n",
			"returned api.example.com 2 429 2s <nil>\n",
			"not sent api.example.com 0 0 0s context canceled\n",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
