//go:build race

package mirror_test

// raceEnabled says that the tests run ten times slower.
const raceEnabled = true
