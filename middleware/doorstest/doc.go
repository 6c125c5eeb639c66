// Package doorstest tests a door: a package that brings the requests of a framework to a
// limiter, as package middleware does for net/http.
//
// [Run] sends one script of requests through the door and through package middleware, and
// compares each answer, byte for byte. It also checks that the handler runs when it should,
// and never for a request that is denied. A door is done when it passes:
//
//	func TestDoor(t *testing.T) {
//		doorstest.Run(t, doorstest.Door{Pattern: "GET /export/:id", Open: open})
//	}
//
// This package imports testing and is for tests only.
package doorstest
