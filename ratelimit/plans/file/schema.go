package file

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema returns a JSON Schema, draft 2020-12, of what [Parse] reads: for editors, and for
// checks before a file is deployed. A file that Parse accepts is valid. Parse also rejects
// files that are valid: with a member or an organisation whose plan is missing, a shared limit
// outside of an organisation or with other numbers than the same one in it, limits of one key
// with the same name, a key or an option that is there twice, and numbers, durations or dates
// outside the ranges of [ratelimit.Limit].
func Schema() []byte { return slices.Clone(schema) }
