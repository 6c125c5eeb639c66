package main

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// table is the limits. The first one is that of the Go programs beside Envoy, so it has no name of
// its own.
var table = []rule{
	{"api", []entry{{"api_key", ""}}, ratelimit.Limit{Rate: 5, Period: 5 * time.Second}},
	{"api", []entry{{"path", "/export"}, {"api_key", ""}}, ratelimit.PerMinute(2).Named("export")},
	{"api", []entry{{"remote_address", ""}}, ratelimit.PerMinute(100).Named("address")},
	{"api", []entry{{"plan", ""}, {"user", ""}}, ratelimit.PerHour(1000).Named("user")},
	{"api", []entry{{"path", "/login"}}, ratelimit.PerSecond(50).Named("login")}, // of all callers together
}
