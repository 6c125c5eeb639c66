package usage

import (
	"io"
	"net/http"
	"sync"
)

// ModifyResponse calls f with the usage of response when its body ends. It is for the field
// of a ReverseProxy with this name, and for what an [http.Client] returns. Its error
// is always nil.
//
// It replaces the body of the response by one that passes the same bytes at the same time.
// The body reports when a read fails, with io.EOF or otherwise, or when it is closed. A client
// that disconnects ends the response early; then false is reported, unless the usage was
// complete by then. If the body is neither JSON nor a stream of events, or is encoded,
// ModifyResponse leaves it as it is and reports false at once.
//
// The request of a report is that of the response. With a ReverseProxy it is the one to the
// upstream; its context has the values of the incoming request's context.
func (f Report) ModifyResponse(response *http.Response) error {
	if f == nil {
		return nil
	}
	b := &body{report: f, request: response.Request}
	b.meter.start(response.Header)
	// An upgraded connection has no body, but must stay a ReadWriteCloser.
	if response.Body == nil || b.meter.format == unread || response.StatusCode == http.StatusSwitchingProtocols {
		f.call(response.Request, Usage{}, false)
		return nil
	}
	b.ReadCloser = response.Body
	response.Body = b
	return nil
}

// A body is the body of a response with a meter.
type body struct {
	io.ReadCloser

	report  Report
	request *http.Request
	mu      sync.Mutex // Close may be called during a Read
	meter   meter      // guarded by mu
	done    bool       // guarded by mu: the usage is reported
}

// Read reads the body, and its meter reads along.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	b.meter.feed(p[:n])
	b.mu.Unlock()
	if err != nil {
		b.end(err == io.EOF)
	}
	return n, err
}

// Close closes the body.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end(false)
	return err
}

// end reports the usage, the first time. whole is set if the API has ended the body.
func (b *body) end(whole bool) {
	b.mu.Lock()
	first := !b.done
	b.done = true
	u, ok := b.meter.usage(whole)
	b.mu.Unlock()
	if first {
		b.report.call(b.request, u, ok)
	}
}
