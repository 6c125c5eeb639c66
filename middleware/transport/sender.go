package transport

import "net/http"

// A sender sends one request, several times if need be.
type sender struct {
	request *http.Request
	handed  bool    // the body is the base's, which closes it when it likes
	body    *unread // around it, if it cannot be had twice
}

// next returns the request for the next attempt. The caller's own is never changed.
func (s *sender) next(attempt int) (*http.Request, error) {
	r := s.request
	s.handed = true
	if r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	body := r.Body
	switch {
	case r.GetBody == nil:
		if s.body != nil {
			body = s.body.detach()
		}
		s.body = &unread{body: body}
		body = s.body
	case attempt == 1:
		return r, nil
	default:
		var err error
		if body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
	r = r.WithContext(r.Context()) // a copy
	r.Body = body
	return r, nil
}

// again tells whether there can be a next attempt.
func (s *sender) again() bool {
	r := s.request
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil || s.body != nil && s.body.hold()
}

// close closes the body when there is no next attempt, as a RoundTripper must,
// unless the base does: it may be sending it still, while the response arrives.
func (s *sender) close() {
	switch {
	case s.body != nil:
		s.body.end()
	case !s.handed && s.request.Body != nil:
		_ = s.request.Body.Close()
	}
}

// idempotent tells whether a request may be sent again, though the server may have
// done what it asks: by its method, RFC 9110, section 9.2.2, or since it says so, in
// the way that http.Transport knows.
func idempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}
