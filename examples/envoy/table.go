package main

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A rule gives a limit to the descriptors that have its domain and its entries, in their order. The
// first rule of the table that fits counts; a descriptor that none fits is not limited.
type rule struct {
	domain  string
	entries []entry
	limit   ratelimit.Limit // a rate; its name must differ from those of other rules
}

// An entry of a descriptor. "" fits any value, and then the value is the limiter's key, or a part of
// it: see keyOf.
type entry struct{ name, value string }

// table is the limits. The first one is that of the Go programs beside Envoy, so it has no name of
// its own.
var table = []rule{
	{"api", []entry{{"api_key", ""}}, ratelimit.Limit{Rate: 5, Period: 5 * time.Second}},
	{"api", []entry{{"path", "/export"}, {"api_key", ""}}, ratelimit.PerMinute(2).Named("export")},
	{"api", []entry{{"remote_address", ""}}, ratelimit.PerMinute(100).Named("address")},
	{"api", []entry{{"plan", ""}, {"user", ""}}, ratelimit.PerHour(1000).Named("user")},
	{"api", []entry{{"path", "/login"}}, ratelimit.PerSecond(50).Named("login")}, // of all callers together
}
