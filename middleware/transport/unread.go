package transport

import (
	"io"
	"sync"
)

// An unread body exists once. While nothing has been read from it, it can be given to
// another attempt: a server that denies a request which expects 100 Continue has read
// none of it.
type unread struct {
	mu     sync.Mutex
	body   io.ReadCloser
	read   bool // a Read was attempted
	closed bool // the attempt closed it; the body stays open while another one may use it
	held   bool // it is kept for another attempt
	ended  bool // there is no other attempt
}

func (u *unread) Read(p []byte) (int, error) {
	u.mu.Lock()
	if u.held || u.closed {
		u.mu.Unlock()
		return 0, errOver
	}
	u.read = true
	u.mu.Unlock()
	return u.body.Read(p)
}

func (u *unread) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || u.held {
		return nil
	}
	u.closed = true
	if !u.read && !u.ended {
		return nil
	}
	return u.body.Close()
}

// hold keeps the body for another attempt. It returns false if it is too late.
func (u *unread) hold() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held = !u.read
	return u.held
}

// end closes the body if Close did not.
func (u *unread) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended && !u.read && (u.closed || u.held) {
		_ = u.body.Close()
	}
	u.ended = true
}
