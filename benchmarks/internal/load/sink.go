package load

import "net/http"

// A Sink is a ResponseWriter that costs as little as one can: it remembers the
// status and the headers, until it is cleared, and forgets the body.
type Sink struct {
	header http.Header
	Status int
}

func NewSink() *Sink { return &Sink{header: http.Header{}} }

func (s *Sink) Header() http.Header         { return s.header }
func (s *Sink) WriteHeader(status int)      { s.Status = status }
func (s *Sink) Write(b []byte) (int, error) { return len(b), nil }

func (s *Sink) Clear() {
	clear(s.header)
	s.Status = 0
}

// Status returns what a denied call is answered with, or an allowed one.
func Status(denied bool) int {
	if denied {
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}
