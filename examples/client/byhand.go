package main

import (
	"net/http"
	"strconv"
	"time"
)

// byHand tries again after a denial, when Retry-After says, and returns the sixth denial
// to the caller. Most clients do the same, which works for one of them. Many that are
// asked to wait for a second all come back at once.
type byHand struct{ base http.RoundTripper }

const retries = 5 // as many as the transport's

// RoundTrip is that of an [http.RoundTripper], for requests without a body.
func (b byHand) RoundTrip(r *http.Request) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		response, err := b.base.RoundTrip(r)
		if err != nil || response.StatusCode != http.StatusTooManyRequests || attempt == retries {
			return response, err
		}
		_ = response.Body.Close()
		wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil {
			wait = 1
		}
		select {
		case <-time.After(time.Duration(wait) * time.Second):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}
