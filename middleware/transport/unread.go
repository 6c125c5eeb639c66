package transport

import (
	"errors"
	"io"
	"sync"
)

// An unread is a body that cannot be had twice. While nobody has read from it, it can
// be given to another attempt: a server that refuses a request which expects 100
// Continue has read none of it.
type unread struct {
	mu     sync.Mutex
	body   io.ReadCloser
	read   bool // somebody has
	closed bool // the attempt has closed it, which is put off while it may be of use
	held   bool // it is kept for another attempt
	ended  bool // there will be none
}

var errOver = errors.New("transport: this attempt to send the request is over")

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

// hold keeps the body for another attempt, and returns false if it is too late.
func (u *unread) hold() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held = !u.read
	return u.held
}

// detach returns the body that is held.
func (u *unread) detach() io.ReadCloser { return u.body }

// end makes up for a Close that was put off.
func (u *unread) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended && !u.read && (u.closed || u.held) {
		_ = u.body.Close()
	}
	u.ended = true
}
