package middleware

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// An outcome is the ResponseWriter of a handler whose price depends on its response.
type outcome struct {
	http.ResponseWriter

	request *http.Request
	upload  upload
	settle  func(status int, gone bool)
	status  int // of the response, once the headers are sent or the connection is taken over
}

// begin is called before the response begins.
func (o *outcome) begin(status int) {
	if o.status == 0 {
		o.status = status
		o.settle(status, o.gone())
	}
}

// panicked is called when the handler has panicked with v. A client that has begun to read the
// response must not get its price back by a disconnect, which is why most handlers panic then.
func (o *outcome) panicked(v any) {
	abort := v == any(http.ErrAbortHandler)
	switch {
	case o.status == 0:
		o.status = http.StatusInternalServerError
		o.settle(o.status, abort || o.gone())
	case abort || o.gone() || o.request.Context().Err() != nil || o.status == http.StatusInternalServerError:
	default:
		o.settle(http.StatusInternalServerError, false)
	}
}

// gone reports whether what the handler does may be due to its client, which has disconnected
// or has sent a broken body. A deadline of the server is not the client's.
func (o *outcome) gone() bool {
	return errors.Is(o.request.Context().Err(), context.Canceled) || o.upload.failed.Load()
}

// An upload is the body of a request.
type upload struct {
	io.ReadCloser

	failed atomic.Bool // a ReverseProxy reads on another goroutine
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		u.failed.Store(true)
	}
	return n, err
}

// WriteHeader sends the headers. Informational ones are not those of the response.
func (o *outcome) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		o.begin(status)
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *outcome) Write(p []byte) (int, error) {
	o.begin(http.StatusOK)
	return o.ResponseWriter.Write(p)
}

// WriteString avoids a copy where the server's ResponseWriter does.
func (o *outcome) WriteString(s string) (int, error) {
	o.begin(http.StatusOK)
	return io.WriteString(o.ResponseWriter, s)
}

// Unwrap is for [http.ResponseController], which sets deadlines and more.
func (o *outcome) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// ReadFrom passes on src as it is, or the server could not send a file without copying it.
func (o *outcome) ReadFrom(src io.Reader) (int64, error) {
	o.begin(http.StatusOK)
	return io.Copy(o.ResponseWriter, src)
}

// What a ResponseWriter may have as well.
type (
	flusher  struct{ of *outcome }
	hijacker struct{ of *outcome }
	pusher   struct{ http.Pusher }
)

func (f flusher) Flush() { _ = f.FlushError() }

func (f flusher) FlushError() error {
	f.of.begin(http.StatusOK)
	return http.NewResponseController(f.of.ResponseWriter).Flush()
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.of.ResponseWriter).Hijack()
	if err == nil {
		h.of.begin(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

// The forms of an outcome with some of these.
type (
	withFlush struct {
		*outcome
		flusher
	}
	withHijack struct {
		*outcome
		hijacker
	}
	withPush struct {
		*outcome
		pusher
	}
	withFlushHijack struct {
		*outcome
		flusher
		hijacker
	}
	withFlushPush struct {
		*outcome
		flusher
		pusher
	}
	withHijackPush struct {
		*outcome
		hijacker
		pusher
	}
	withAll struct {
		*outcome
		flusher
		hijacker
		pusher
	}
)

// writer returns o with those that its ResponseWriter has. A handler that asks for one gets
// the same answer as without o. Flush and Hijack are there as well if http.ResponseController
// would find them further inside: it must not bypass o.
func (o *outcome) writer() http.ResponseWriter {
	w := o.ResponseWriter
	p, push := w.(http.Pusher)
	flush := reaches[http.Flusher](w) || reaches[interface{ FlushError() error }](w)
	hijack := reaches[http.Hijacker](w)
	switch {
	case flush && hijack && push:
		return withAll{o, flusher{o}, hijacker{o}, pusher{p}}
	case flush && hijack:
		return withFlushHijack{o, flusher{o}, hijacker{o}}
	case flush && push:
		return withFlushPush{o, flusher{o}, pusher{p}}
	case hijack && push:
		return withHijackPush{o, hijacker{o}, pusher{p}}
	case flush:
		return withFlush{o, flusher{o}}
	case hijack:
		return withHijack{o, hijacker{o}}
	case push:
		return withPush{o, pusher{p}}
	}
	return o
}

// reaches reports whether w, or a ResponseWriter that it wraps, is a T.
func reaches[T any](w http.ResponseWriter) bool {
	for range maxWrappers {
		if _, ok := w.(T); ok {
			return true
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	return false
}
