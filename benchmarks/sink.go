package main

import "net/http"

// A sink is a ResponseWriter that costs as little as one can: it remembers the
// status and the headers, until it is cleared, and forgets the body.
type sink struct {
	header http.Header
	status int
}

func newSink() *sink { return &sink{header: http.Header{}} }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

func (s *sink) clear() {
	clear(s.header)
	s.status = 0
}

// status returns what a denied call is answered with, or an allowed one.
func status(denied bool) int {
	if denied {
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}
