package connectv2limit

import (
	"sync/atomic"

	"connectrpc.com/connect/v2"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// A limitedStream is a call whose messages are charged.
type limitedStream struct {
	connect.ServerStream

	call   *rpc.Call
	denied atomic.Pointer[rpc.Denial] // once a message was denied
}

// Receive receives a message. The handler does not get one that is denied, or any after that.
func (s *limitedStream) Receive(m any) error {
	if denial := s.denied.Load(); denial != nil {
		return errorOf(denial)
	}
	if err := s.ServerStream.Receive(m); err != nil {
		return err
	}
	denial := s.call.Message(m)
	if denial == nil {
		return nil
	}
	s.denied.Store(denial)
	return errorOf(denial)
}

// Send sends a message, unless one from the client was denied.
func (s *limitedStream) Send(m any) error {
	if denial := s.denied.Load(); denial != nil {
		return errorOf(denial)
	}
	return s.ServerStream.Send(m)
}
