//go:build race

package redisstore

// raceEnabled says that the tests run ten times slower.
const raceEnabled = true
