package main

import (
	"fmt"
	"net/http"
	"time"
)

// A library is one of those that are compared.
type library struct {
	name string
	role role
	// limiter returns the library's own call, in memory; nil if it has none.
	limiter func(setting) (limiter, error)
	// handler puts the library's own middleware in front of a handler, with
	// header X-API-Key as the key; nil if it has none.
	handler func(setting, http.Handler) (http.Handler, error)
}

// A role says what a library is compared for.
type role int

const (
	own       role = iota // keyrate
	rival                 // another library
	byHand                // what people write themselves; a rival but for the middleware
	yardstick             // a limit of the hardware or of the machine, nothing one could use
)

// ours is the name that every ratio refers to.
const ours = "keyrate"

// libraries is every library, in the order of the tables.
var libraries = []library{
	{name: ours, role: own, limiter: newKeyrate, handler: keyrateHandler},
	{name: "reference", role: yardstick, limiter: newReference, handler: referenceHandler},
	{name: "clock", role: yardstick, limiter: newClock},
	{name: "machine", role: yardstick, limiter: newMachine},
	{name: "go-limiter", role: rival, limiter: newGoLimiter, handler: goLimiterHandler},
	{name: "throttled", role: rival, limiter: newThrottled, handler: throttledHandler},
	{name: "x/time/rate", role: byHand, limiter: newXRate, handler: xrateHandler},
	{name: "ulule", role: rival, limiter: newUlule, handler: ululeHandler},
	{name: "tollbooth", role: rival, limiter: newTollbooth, handler: tollboothHandler},
	{name: "httprate", role: rival, limiter: newHTTPRate, handler: httprateHandler},
}

// A limiter is a library's call: it takes one token of a key's.
type limiter interface {
	Allow(key string) bool
}

// A primer is a limiter that forgets a key as soon as its bucket is full again,
// which with limits that allow everything is at once. So that its table is as
// large as the others', prime takes half of what a key has beforehand.
type primer interface {
	Prime(key string) error
}

// A limit is what every library can express, though windows are not buckets: so
// many calls at once, and so many in the time Per.
type limit struct {
	Tokens int
	Per    time.Duration
}

// The limits of the cases. Nobody forgets a key during a run: a day is long.
var (
	plenty = limit{Tokens: 2_000_000_000, Per: 24 * time.Hour}
	once   = limit{Tokens: 1, Per: 24 * time.Hour}
)

// A setting is how a library is to be set up.
type setting struct {
	Limit limit
	// Two adds a second limit to each key. Only keyrate can.
	Two bool
	// Keys is how many keys there will be at once.
	Keys int
	// Presized says that libraries that can take the room for Keys beforehand
	// shall: growth is not what is measured.
	Presized bool
	// Forget is after what time a key that nobody uses is to be forgotten. 0
	// means never in this run.
	Forget time.Duration
}

// named returns the library of that name.
func named(name string) (library, error) {
	for _, l := range libraries {
		if l.name == name {
			return l, nil
		}
	}
	return library{}, fmt.Errorf("there is no library %q", name)
}

// withRole returns the names of the libraries that have one of the roles.
func withRole(roles ...role) []string {
	var names []string
	for _, l := range libraries {
		for _, r := range roles {
			if l.role == r {
				names = append(names, l.name)
			}
		}
	}
	return names
}

// keyHeader is the request header that holds the key. It is in canonical form, so
// that nobody pays for making it so at each request.
const keyHeader = "X-Api-Key"

// byHandNote goes with every table of middlewares.
const byHandNote = "x/time/rate has no middleware: it is written by hand and sends no headers"
