package openapi_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyrate/keyrate/store/memstore"
)

// keepBusy opens as many streams as there may be, and returns a function that ends them.
func (r *rig) keepBusy(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var streams sync.WaitGroup
	for range 256 {
		streams.Go(func() {
			for ctx.Err() == nil { // again, if the call below had the place
				r.handler.ServeHTTP(httptest.NewRecorder(), call{op: "GET /live"}.request(ctx))
			}
		})
	}
	for stop := time.Now().Add(time.Minute); r.ask(t, call{op: "GET /live", gone: true}).Code == 200; time.Sleep(time.Millisecond) {
		if time.Now().After(stop) {
			t.Fatal("there is room for 257 streams")
		}
	}
	return func() {
		cancel()
		streams.Wait()
	}
}

// TestFrames: each event of a stream has a frame as it is described.
func TestFrames(t *testing.T) {
	r := newRig(t, memstore.New(memstore.Config{}), table)
	description, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.description))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", description); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("openapi.json#/components/schemas/Frame")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, _ = r.limiter.Allow(t.Context(), "eve")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, call{op: "GET /live"}.request(ctx))
	text := w.Body.String()
	if !strings.Contains(text, `"rates"`) || !strings.Contains(text, `"denied"`) || !strings.Contains(text, `"changes"`) {
		t.Errorf("the control does not hold: %s", text)
	}
	for event := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		_, data, _ := strings.Cut(event, "data: ")
		frame, err := jsonschema.UnmarshalJSON(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(frame); err != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
	if err := schema.Validate(map[string]any{"at": 1, "key": "alice"}); err == nil {
		t.Error("something else passes")
	}
}
