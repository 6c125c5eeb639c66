package admin

import (
	_ "embed" // for the description
	"net/http"
)

// description is compared with the handler by the tests in middleware/interop/openapi.
//
//go:embed openapi.json
var description []byte

// describe responds with the OpenAPI description.
func (c *call) describe() { c.answerBytes(http.StatusOK, "application/json", description) }
