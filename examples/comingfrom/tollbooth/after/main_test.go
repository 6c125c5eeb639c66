package main

import (
	"testing"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{Side: seen.After, New: handler})
}
