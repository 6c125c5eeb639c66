package rpc

import (
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/reply"
)

// lower are the names of headers as gRPC's metadata has them.
var lower = func() (names [len(reply.Names)]string) {
	for i, name := range reply.Names {
		names[i] = strings.ToLower(name)
	}
	return names
}()

// Lower makes the names of headers lower case, as metadata needs them.
func Lower(h map[string][]string) {
	for i, name := range reply.Names {
		if values, ok := h[name]; ok {
			delete(h, name)
			h[lower[i]] = values
		}
	}
}
