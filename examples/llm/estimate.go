package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	maxBody   = 1 << 20
	maxTokens = 4000 // that a request may ask for
)

type estimateKey struct{}

// estimated reads the body of each request, and puts an estimate of its price into its context.
// The Reserve of a middleware.Config cannot do that: it must not change the request.
func estimated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		n, err := estimateOf(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), estimateKey{}, n))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// estimate returns what estimated has found out.
func estimate(r *http.Request) int {
	n, _ := r.Context().Value(estimateKey{}).(int)
	return n
}

// estimateOf returns the most tokens that a request can use: those that it asks for, and one for
// each of its bytes, since no token is shorter. What it does not use is given back when it ends.
// A lower estimate lets more requests run at a time, but each may overrun the limit by the error.
func estimateOf(body []byte) (int, error) {
	var request map[string]json.RawMessage // not a struct, which would take Max_Tokens for max_tokens
	if err := json.Unmarshal(body, &request); err != nil {
		return 0, errors.New(`the body must be a JSON object, such as {"max_tokens":1000,"messages":[]}`)
	}
	var tokens int
	if err := json.Unmarshal(request["max_tokens"], &tokens); err != nil || tokens < 1 || tokens > maxTokens {
		return 0, fmt.Errorf("max_tokens must be from 1 to %d: the request is admitted by it", maxTokens)
	}
	if n := request["n"]; n != nil && string(n) != "1" {
		return 0, errors.New("n must be 1 or left out: max_tokens counts for each choice")
	}
	return tokens + len(body), nil
}
