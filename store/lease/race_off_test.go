//go:build !race

package lease_test

// raceEnabled says that the tests run ten times slower.
const raceEnabled = false
