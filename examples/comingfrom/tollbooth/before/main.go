// Command before serves an API that tollbooth limits: 5 calls a second for each API
// key.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/didip/tollbooth/v7"
)

func main() {
	log.Fatal(http.ListenAndServe("localhost:8080", handler()))
}

func handler() http.Handler {
	limit := tollbooth.NewLimiter(5, nil).SetHeader("X-API-Key", nil)
	return tollbooth.LimitFuncHandler(limit, hello)
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
