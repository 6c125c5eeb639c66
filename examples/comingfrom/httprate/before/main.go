// Command before serves an API that go-chi/httprate limits: 5 calls a second for each
// API key.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
)

func main() {
	log.Fatal(http.ListenAndServe("localhost:8080", handler()))
}

func handler() http.Handler {
	limit := httprate.LimitBy(5, time.Second, apiKey)
	return limit(http.HandlerFunc(hello))
}

func apiKey(r *http.Request) (string, error) { return r.Header.Get("X-API-Key"), nil }

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
