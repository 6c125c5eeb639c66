package transport

import "net/http"

// A sender prepares the attempts of one request.
type sender struct {
	request *http.Request
	handed  bool    // base has the body, and closes it
	body    *unread // wraps the body if there is no GetBody
}

// next returns the request for the next attempt. It never changes the caller's request.
func (s *sender) next(attempt int) (*http.Request, error) {
	r := s.request
	s.handed = true
	if r.Body == nil || r.Body == http.NoBody || r.GetBody != nil && attempt == 1 {
		return r, nil
	}
	body := r.Body
	if r.GetBody == nil {
		s.body = &unread{body: body}
		body = s.body
	} else {
		var err error
		if body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	r = r.WithContext(r.Context()) // a copy
	r.Body = body
	return r, nil
}

// again reports whether there can be another attempt.
func (s *sender) again() bool {
	r := s.request
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || s.body != nil && s.body.hold()
}

// close closes the body after the last attempt, as a RoundTripper must. If base has it,
// base closes it: it may still be sending it while the response arrives.
func (s *sender) close() {
	switch {
	case s.body != nil:
		s.body.end()
	case !s.handed && s.request.Body != nil:
		_ = s.request.Body.Close()
	}
}

// idempotent reports whether a request may be sent again although the server may have
// served it: by its method (RFC 9110, section 9.2.2), or by a header that http.Transport
// knows, too.
func idempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}
