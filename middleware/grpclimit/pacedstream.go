package grpclimit

import (
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/keyrate/keyrate/middleware/internal/pace"
)

// A pacedStream is a stream of a client, whose response sets the pace.
type pacedStream struct {
	grpc.ClientStream

	pace    *pace.Pace
	attempt pace.Attempt
	learned atomic.Bool
	stop    func() bool // the call of abandoned when the context ends
}

// abandoned is called when no one waits for the response any more.
func (s *pacedStream) abandoned() {
	if !s.learned.Swap(true) {
		s.pace.Failed()
	}
}

// RecvMsg receives a message. The first time, it learns from the response.
func (s *pacedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if s.learned.Swap(true) {
		return err
	}
	s.stop()
	r := response{err: err}
	r.header, _ = s.Header() // which has arrived, or never will
	switch {
	case errors.Is(err, io.EOF):
		r.err, r.trailer = nil, s.Trailer()
	case err != nil:
		r.trailer = s.Trailer()
	}
	if r.arrived() {
		r.learn(s.pace, s.attempt, 1)
	} else {
		s.pace.Failed()
	}
	return err
}
