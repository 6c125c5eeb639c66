package main

import (
	"net/http"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

type addHTTP func(s setting, next http.Handler) (http.Handler, error)

var httpLimiters = []limiter{
	{name: library.Ours, add: fromLibrary(library.Ours)},
	{name: "ulule", add: fromLibrary("ulule")},
	{name: "throttled", add: fromLibrary("throttled")},
}

// fromLibrary returns the middleware of a library that package library has.
func fromLibrary(name string) addHTTP {
	return func(s setting, next http.Handler) (http.Handler, error) {
		l, err := library.Named(name)
		if err != nil {
			return nil, err
		}
		return l.Handler(s.library(), next)
	}
}

func openHTTP(add any, s setting) (call, error) {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if add, ok := add.(addHTTP); ok {
		var err error
		if h, err = add(s, h); err != nil {
			return nil, err
		}
	}
	return serving(h)
}
