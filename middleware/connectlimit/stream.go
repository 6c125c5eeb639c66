package connectlimit

import (
	"maps"
	"net/http"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// A limitedConn is a stream whose messages are charged.
type limitedConn struct {
	connect.StreamingHandlerConn

	call   *rpc.Call
	denied atomic.Pointer[connect.Error] // once a message was denied, the error of the stream
}

// Receive receives a message. The handler does not get one that is denied, or any after that.
func (c *limitedConn) Receive(m any) error {
	if denied := c.denied.Load(); denied != nil {
		return denied
	}
	if err := c.StreamingHandlerConn.Receive(m); err != nil {
		return err
	}
	denial := c.call.Message(m)
	if denial == nil {
		return nil
	}
	// The header may have been sent, and the handler may be writing to both.
	trailer := http.Header{}
	denied := deny(denial, c.Peer().Protocol, trailer, trailer)
	maps.Copy(denied.Meta(), trailer)
	c.denied.Store(denied)
	return denied
}

// Send sends a message, unless one from the client was denied.
func (c *limitedConn) Send(m any) error {
	if denied := c.denied.Load(); denied != nil {
		return denied
	}
	return c.StreamingHandlerConn.Send(m)
}
