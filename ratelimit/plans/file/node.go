package file

// A position is a place in a file: line and column from 1, the column in characters. The zero
// position is no place.
type position struct{ Line, Column int32 }

// A node is a value of a file, be it YAML or JSON. A file can have a million of them.
type node struct {
	at     position
	kind   kind
	text   string // of a scalar
	inside *inside
}

type kind uint8

const (
	kindText   kind = iota // a scalar of YAML as it is written; a string of JSON
	kindNumber             // of JSON
	kindWord               // true or false in JSON
	kindEmpty              // an empty value in YAML; null in JSON
	kindList
	kindMap
	kindRejected // by a fault that is already reported
)

// inside is the content of a list or a map.
type inside struct {
	items   []node
	entries []entry
}

// An entry of a map.
type entry struct {
	at    position
	key   string
	value node
}

// String names the kind for an operator, without the text.
func (k kind) String() string {
	return [...]string{"a text", "a number", "true or false", "nothing", "a list", "a map of fields", "what is rejected"}[k]
}
