package library

import (
	"fmt"
	"net/http"
	"time"
)

// A Library is one of the libraries that are compared.
type Library struct {
	Name string
	Role Role
	// Limiter returns the library's own call, in memory; nil if it has none.
	Limiter func(Setting) (Limiter, error)
	// Handler puts the library's own middleware in front of a handler, with
	// header X-API-Key as the key; nil if it has none.
	Handler func(Setting, http.Handler) (http.Handler, error)
}

// A Role says what a library is compared for.
type Role int

const (
	Own       Role = iota // keyrate
	Rival                 // another library
	ByHand                // what people write themselves; a rival but for the middleware
	Yardstick             // a limit of the hardware or of the machine, nothing one could use
)

// Ours is the name that every ratio refers to.
const Ours = "keyrate"

// Libraries is every library, in the order of the tables.
var Libraries = []Library{
	{Name: Ours, Role: Own, Limiter: newKeyrate, Handler: KeyrateHandler},
	{Name: "reference", Role: Yardstick, Limiter: newReference, Handler: referenceHandler},
	{Name: "clock", Role: Yardstick, Limiter: newClock},
	{Name: "machine", Role: Yardstick, Limiter: newMachine},
	{Name: "go-limiter", Role: Rival, Limiter: newGoLimiter, Handler: goLimiterHandler},
	{Name: "throttled", Role: Rival, Limiter: newThrottled, Handler: throttledHandler},
	{Name: "x/time/rate", Role: ByHand, Limiter: newXRate, Handler: xrateHandler},
	{Name: "ulule", Role: Rival, Limiter: newUlule, Handler: ululeHandler},
	{Name: "tollbooth", Role: Rival, Limiter: newTollbooth, Handler: tollboothHandler},
	{Name: "httprate", Role: Rival, Limiter: newHTTPRate, Handler: httprateHandler},
}

// A Limiter is a library's call: it takes one token of a key's.
type Limiter interface {
	Allow(key string) bool
}

// A Primer is a limiter that forgets a key as soon as its bucket is full again. With limits
// that allow every call that is at once, and its table would be smaller than the others'.
// Prime therefore takes half of the tokens of a key beforehand.
type Primer interface {
	Prime(key string) error
}

// A Limit is what every library can express, though windows are not buckets: so
// many calls at once, and so many in the time Per.
type Limit struct {
	Tokens int
	Per    time.Duration
}

// The limits of the cases. Within a day no library forgets a key during a run.
var (
	Plenty = Limit{Tokens: 2_000_000_000, Per: 24 * time.Hour}
	Once   = Limit{Tokens: 1, Per: 24 * time.Hour}
)

// A Setting says how to set a library up.
type Setting struct {
	Limit Limit
	// Two adds a second limit to each key. Only keyrate can.
	Two bool
	// Keys is how many keys there will be at once.
	Keys int
	// Presized makes libraries allocate room for Keys beforehand if they can,
	// because the growth is not measured.
	Presized bool
	// Forget is the time after which a library must forget an unused key. 0 means
	// never in this run.
	Forget time.Duration
}

// Named returns the library of that name.
func Named(name string) (Library, error) {
	for _, l := range Libraries {
		if l.Name == name {
			return l, nil
		}
	}
	return Library{}, fmt.Errorf("there is no library %q", name)
}

// WithRole returns the names of the libraries that have one of the roles.
func WithRole(roles ...Role) []string {
	var names []string
	for _, l := range Libraries {
		for _, r := range roles {
			if l.Role == r {
				names = append(names, l.Name)
			}
		}
	}
	return names
}

// ByHandNote goes with every table of middlewares.
const ByHandNote = "x/time/rate has no middleware: it is written by hand and sends no headers"
