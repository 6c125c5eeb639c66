package file

// A position is where something begins in a file. The zero position is nowhere.
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
	kindText   kind = iota // any scalar of YAML, as it is written; a string of JSON
	kindNumber             // of JSON
	kindWord               // true or false in JSON
	kindEmpty              // nothing is written there, in YAML; null in JSON
	kindList
	kindMap
	kindRejected // and told already
)

// inside is what a list or a map holds.
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

// String names the kind to an operator, without what is written.
func (k kind) String() string {
	return [...]string{"a text", "a number", "true or false", "nothing", "a list", "a map of fields", "what is refused"}[k]
}
