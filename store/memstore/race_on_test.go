//go:build race

package memstore

// raceEnabled says that the tests run ten times slower.
const raceEnabled = true
