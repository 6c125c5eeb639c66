package grpclimit

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// A limitedStream is a stream that is served.
type limitedStream struct {
	grpc.ServerStream

	ctx    context.Context //nolint:containedctx // what Context returns
	call   *rpc.Call
	begun  atomic.Bool           // the header has the fields of the call, or
	late   atomic.Bool           // it was sent without them
	denied atomic.Pointer[error] // once a message was denied, the status of the stream
}

func (s *limitedStream) Context() context.Context { return s.ctx }

// begin adds the fields of the call to the header, which is about to be sent.
func (s *limitedStream) begin() {
	if s.call.HasHeaders() && !s.begun.Swap(true) && s.ServerStream.SetHeader(fieldsOf(s.call)) != nil {
		s.late.Store(true) // grpc.SendHeader does not pass here
	}
}

// end returns the status of the stream when its handler has returned err.
func (s *limitedStream) end(err error) error {
	if denied := s.denied.Load(); denied != nil {
		return *denied
	}
	if err == nil {
		s.begin()
	} else if s.call.HasHeaders() && !s.begun.Swap(true) {
		s.late.Store(true) // a client retries the error only if there is no header before it
	}
	if s.late.Load() {
		s.SetTrailer(fieldsOf(s.call))
	}
	return err
}

// SendHeader sends the header.
func (s *limitedStream) SendHeader(md metadata.MD) error {
	s.begin()
	return s.ServerStream.SendHeader(md)
}

// SendMsg sends a message, unless one from the client was denied.
func (s *limitedStream) SendMsg(m any) error {
	if denied := s.denied.Load(); denied != nil {
		return *denied
	}
	s.begin()
	return s.ServerStream.SendMsg(m)
}

// RecvMsg receives a message. The handler does not get one that is denied, or any after that.
func (s *limitedStream) RecvMsg(m any) error {
	if denied := s.denied.Load(); denied != nil {
		return *denied
	}
	if err := s.ServerStream.RecvMsg(m); err != nil || !s.call.HasMessages() {
		return err
	}
	denial := s.call.Message(m)
	if denial == nil {
		return nil
	}
	s.begun.Store(true) // the trailer has the fields of this message instead
	trailer, err := deny(denial)
	s.SetTrailer(trailer)
	s.denied.Store(&err)
	return err
}
