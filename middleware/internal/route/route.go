// Package route finds the pattern of a request as a framework's user writes it:
// "GET /export/:id".
package route

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/middleware"
)

// Patterns are those of the routes that have limits or a cost of their own.
type Patterns struct {
	known map[string]string // each to itself, so that finding one allocates nothing
	every bool              // name the pattern of every request
}

// New returns Patterns. With every, the pattern of every request has a name, and otherwise only
// that of a known one.
func New(every bool, known ...string) Patterns {
	p := Patterns{make(map[string]string, len(known)), every}
	for _, pattern := range known {
		p.known[pattern] = pattern
	}
	return p
}

// Of returns the pattern of a request by its method and the path that the framework has matched,
// "" if it has matched none. A request with HEAD has the pattern of GET, and any the path alone,
// if only that is known: HEAD avoids no limit.
func (p Patterns) Of(method, path string) string {
	if path == "" || len(p.known) == 0 && !p.every {
		return ""
	}
	if found := p.find(method, path); found != "" || !p.every {
		return found
	}
	return method + " " + path
}

// find returns the known pattern of a request, or "".
func (p Patterns) find(method, path string) string {
	var space [128]byte
	named := func(method string) string {
		return p.known[string(append(append(append(space[:0], method...), ' '), path...))]
	}
	if found := named(method); found != "" {
		return found
	}
	if method == "HEAD" {
		if found := named("GET"); found != "" {
			return found
		}
	}
	return p.known[path]
}

// Written returns the patterns of routes.
func Written(routes []middleware.Route) []string {
	all := make([]string, len(routes))
	for i, r := range routes {
		all[i] = r.Pattern
	}
	return all
}

// Check returns an error that joins one for each of routes that matches none of those that has
// reports. method is "" for a pattern that is a path alone.
func Check(routes []string, has func(method, path string) bool) error {
	var faults []error
	for i, pattern := range routes {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = "", pattern
		}
		if !has(method, path) {
			faults = append(faults, fmt.Errorf("routes[%d] %q: there is no such route, so its limits apply to no request; write the method and the path as they are registered, group included", i, pattern))
		}
	}
	return errors.Join(faults...)
}
