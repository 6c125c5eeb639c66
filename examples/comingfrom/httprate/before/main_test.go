package main

import (
	"net/http"
	"testing"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.Before,
		New:  func() (http.Handler, error) { return handler(), nil },
	})
}
