package transport

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// A countedBody counts how often it is closed.
type countedBody struct {
	io.Reader
	closed int
}

func (b *countedBody) Close() error { b.closed++; return nil }

// TestUnreadIsClosed checks that an unread body is closed exactly when it is of no more
// use, whatever happens to it in whatever order.
func TestUnreadIsClosed(t *testing.T) {
	read := func(t *testing.T, u *unread) {
		t.Helper()
		if _, err := u.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
	shut := func(t *testing.T, u *unread) {
		t.Helper()
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	end := func(_ *testing.T, u *unread) { u.end() }
	hold := func(t *testing.T, u *unread) {
		t.Helper()
		if !u.hold() {
			t.Error("the body cannot be held")
		}
	}
	over := func(t *testing.T, u *unread) {
		t.Helper()
		if _, err := u.Read(make([]byte, 1)); !errors.Is(err, errOver) {
			t.Errorf("a read after the attempt: %v", err)
		}
	}
	type step = func(*testing.T, *unread)
	for _, c := range []struct {
		name  string
		steps []step
		want  []int // how often it was closed after each step
	}{
		{"closed without being read", []step{shut, end}, []int{0, 1}},
		{"closed after the end", []step{end, shut}, []int{0, 1}},
		{"closed twice after the end", []step{end, shut, shut}, []int{0, 1, 1}},
		{"ended twice", []step{shut, end, end}, []int{0, 1, 1}},
		{"closed when it was read", []step{read, shut, end}, []int{0, 1, 1}},
		{"read on after the end", []step{end, read, shut}, []int{0, 0, 1}},
		{"read, and closed after the end", []step{read, end, shut}, []int{0, 0, 1}},
		{"held, and then given up", []step{hold, end}, []int{0, 1}},
		{"closed, held, and then given up", []step{shut, hold, end}, []int{0, 0, 1}},
		{"held, then closed by the attempt that is over", []step{hold, over, shut, end}, []int{0, 0, 0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := &countedBody{Reader: strings.NewReader("a body")}
			u := &unread{body: body}
			for i, step := range c.steps {
				if step(t, u); body.closed != c.want[i] {
					t.Errorf("closed %d times after step %d, want %d", body.closed, i+1, c.want[i])
				}
			}
		})
	}
}

// TestUnreadIsNotHeld checks that a body that was read in part is not kept for another
// attempt.
func TestUnreadIsNotHeld(t *testing.T) {
	u := &unread{body: io.NopCloser(strings.NewReader("a body"))}
	if _, err := u.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if u.hold() {
		t.Error("the body is held")
	}
}
