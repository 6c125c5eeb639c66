package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/internal/rpc"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

const method = "/test.Service/Get"

type keyOf struct{}

// newDoor returns a door whose key is in the context.
func newDoor(t *testing.T, limits ratelimit.Limits, c rpc.Config, routes ...middleware.Route) *rpc.Door {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Key = rpc.FromContext(func(ctx context.Context) (string, error) {
		key, _ := ctx.Value(keyOf{}).(string)
		return key, nil
	})
	c.Violations = func(all []rpc.Violation) any { return &all }
	door, err := rpc.New(limiter, c, routes...)
	if err != nil {
		t.Fatal(err)
	}
	return door
}

func newCall(t *testing.T, method string) *rpc.Call {
	return &rpc.Call{Context: context.WithValue(t.Context(), keyOf{}, "alice"), Method: method, Peer: "192.0.2.1:1"}
}

// TestDenial: what a door reports of two limits, both violated, with names of headers as it wants
// them.
func TestDenial(t *testing.T) {
	policy, err := ratelimit.NewPolicy(ratelimit.PerHour(1), ratelimit.PerDay(1).Named("daily"))
	if err != nil {
		t.Fatal(err)
	}
	for _, lower := range []bool{false, true} {
		door := newDoor(t, policy, rpc.Config{Lower: lower})
		header := map[string][]string{}
		call := newCall(t, method)
		if !door.Decide(call) || !call.HasHeaders() {
			t.Fatal("the first call is denied")
		}
		call.SetHeaders(header)
		ctx, _ := call.Begin()
		if text := fmt.Sprintf("%v", ctx); strings.Count(text, "alice") > strings.Count(fmt.Sprintf("%v", call.Context), "alice") {
			t.Errorf("the key is in %s", text)
		}
		call = newCall(t, method)
		if door.Decide(call) {
			t.Fatal("the second call is served")
		}
		d := call.Denial()
		name, wait := "Retry-After-Ms", "Ratelimit"
		if lower {
			name, wait = "retry-after-ms", "ratelimit"
		}
		if len(header[wait]) != 1 || len(d.Headers[name]) != 1 || d.Headers[name][0] != d.Pushback || fmt.Sprint(d.Wait.Milliseconds()) != d.Pushback {
			t.Errorf("%v, then %+v", header, d)
		}
		all, _ := d.Violations.(*[]rpc.Violation)
		if d.Code != rpc.ResourceExhausted || d.Wait < 23*time.Hour || all == nil || len(*all) != 2 || (*all)[0].Limit != "daily" || (*all)[1] != (rpc.Violation{Limit: "default", Quota: 1, Description: "1/h"}) {
			t.Errorf("%+v", d)
		}
		call = newCall(t, method)
		if door.Decide(call) || call.Denial().Violations != any(all) {
			t.Error("the list of the limits is made again")
		}
		if text := fmt.Sprintf("%v %+v %+v", call, call, d); strings.Contains(text, "alice") {
			t.Errorf("the key is in %s", text)
		}
	}
}

// TestInfrastructure: health checks and reflection are exempt, and only those.
func TestInfrastructure(t *testing.T) {
	const check = "/grpc.health.v1.Health/Check"
	for _, c := range []struct {
		method string
		routes []middleware.Route
		exempt bool
	}{
		{check, nil, true},
		{check, []middleware.Route{{Pattern: check, Cost: 1}}, false},
		{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", nil, true},
		{"/grpc.health.v2.Health/Check", nil, false},
		{"/test.grpc.health.Service/Get", nil, false},
	} {
		door := newDoor(t, ratelimit.PerHour(1), rpc.Config{}, c.routes...)
		door.Decide(newCall(t, c.method))
		if exempt := door.Decide(newCall(t, c.method)); exempt != c.exempt {
			t.Errorf("%s is exempt: %v, want %v", c.method, exempt, c.exempt)
		}
	}
}

// TestCanceled: the context of a decision does not end.
func TestCanceled(t *testing.T) {
	door := newDoor(t, ratelimit.LimitsFunc(func(ctx context.Context, _ string) (*ratelimit.Policy, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return ratelimit.NewPolicy(ratelimit.PerHour(1))
	}), rpc.Config{FailClosed: true})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), keyOf{}, "alice"))
	cancel()
	if call := (&rpc.Call{Context: ctx, Method: method}); !door.Decide(call) {
		t.Errorf("%+v", call.Denial())
	}
}
