package admin

import (
	_ "embed" // for the description
	"net/http"
)

// description is held to what the handler does by the tests in middleware/interop/openapi.
//
//go:embed openapi.json
var description []byte

// describe answers with the OpenAPI description.
func (c *call) describe() { c.answerBytes(http.StatusOK, "application/json", description) }
