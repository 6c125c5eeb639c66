package file

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema returns a JSON Schema, draft 2020-12, of what [Parse] reads: for editors, and for
// checks before a file is deployed. Whatever Parse takes is valid by it. It cannot say all:
// Parse refuses as well a member whose plan is not there, limits of one key with the same
// name, a key or an option that is there twice, and numbers, durations and dates out of
// their range, as [ratelimit.Limit] has it.
func Schema() []byte { return slices.Clone(schema) }
