package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
)

// ReadTableConfig reads the JSON form of a [TableConfig], and nothing else, up to the end
// of r: an object with a "default" and, if wanted, "plans", "members" and "keys", as
// [TableConfig.MarshalJSON] shows. A policy is a text for [ParsePolicy] or an array of
// texts for [ParseLimit]. Names that are unknown, or there twice, are faults, and so are
// keys that are not UTF-8: those can be written as hashes, with [HashKey].
//
// It does not hold the text in memory, and takes a second or two for a million keys. The
// error joins a [LimitError] for each fault, with its place, where a hash stands for a
// key; or it is that of r. Whether members belong to plans that are there, [NewTable] and
// [Table.Replace] tell.
func ReadTableConfig(r io.Reader) (TableConfig, error) {
	t := tableReader{in: json.NewDecoder(&spaceReader{in: r}), policies: make(map[string]*ratelimit.Policy)}
	t.in.UseNumber() // a number is a fault of the table, however long
	if err := t.table(); err != nil {
		if !errors.Is(err, errNoTable) {
			return TableConfig{}, err
		}
	} else if t.config.Default == nil && !t.names["default"] {
		t.fault("TableConfig.Default", "missing", `must be there, such as "default": "5/s"`)
	}
	if err := t.faults.join(); err != nil {
		return TableConfig{}, err
	}
	return t.config, nil
}

// A tableReader reads a table token by token. What is wrong within an entry is put
// down, and the entry skipped; where the text is no JSON, nothing behind that is read.
type tableReader struct {
	in       *json.Decoder
	depth    int
	config   TableConfig
	names    map[string]bool // of the table itself
	policies map[string]*ratelimit.Policy
	faults   faultList
}

func (t *tableReader) fault(at string, value any, want string) {
	t.faults.add(&ratelimit.LimitError{Field: at, Value: value, Want: want})
}

// table reads all of it.
func (t *tableReader) table() error {
	t.names = make(map[string]bool)
	token, err := t.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return t.stop("no object", `must be one JSON object, such as {"default": "5/s"}`)
	}
	if err := t.each(t.part); err != nil {
		return err
	}
	_, err = t.in.Token()
	if err == nil || errors.Is(err, errSpaces) || isSyntax(err) && !errors.Is(err, io.EOF) {
		return t.stop("more", "must end with its last brace")
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// part reads one of the four parts.
func (t *tableReader) part(name string) error {
	if t.names[name] {
		t.fault(partPlace(name), "there twice", "must not be there twice")
		return t.skipNext()
	}
	switch name {
	case "default", "plans", "members", "keys":
		t.names[name] = true
	default: // it may be a key that has got into the wrong place
		t.fault(fmt.Sprintf("TableConfig behind byte %d", t.in.InputOffset()), "unknown name", "must be one of default, plans, members and keys")
		return t.skipNext()
	}
	if name == "default" {
		p, err := t.policy("Default", "")
		t.config.Default = p
		return err
	}
	token, err := t.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		t.fault(partPlace(name), kindOf(token), "must be an object")
		return t.skip(token)
	}
	switch name {
	case "plans":
		return t.entries("Plans", &t.config.Plans)
	case "members":
		return t.each(t.member)
	default:
		return t.entries("Keys", &t.config.Keys)
	}
}

// partPlace tells where one of the four parts is.
func partPlace(name string) string { return "TableConfig." + strings.ToUpper(name[:1]) + name[1:] }

// usable tells whether an entry's name can be used, and puts a fault down if not.
func (t *tableReader) usable(in, name string, twice bool) bool {
	switch {
	case !validText(name):
		t.fault(placeOf(in, name), "not UTF-8", "must be text without U+FFFD; a key that is not can be written as its hash")
	case twice:
		t.fault(placeOf(in, name), "there twice", "must be there once")
	default:
		return true
	}
	return false
}

// entries reads the entries of plans or of keys, each a policy by its name.
func (t *tableReader) entries(in string, m *map[string]*ratelimit.Policy) error {
	return t.each(func(name string) error {
		_, twice := (*m)[name]
		ok := t.usable(in, name, twice)
		p, err := t.policy(in, name)
		if ok {
			put(m, name, p)
		}
		return err
	})
}

func (t *tableReader) member(key string) error {
	_, twice := t.config.Members[key]
	ok := t.usable("Members", key, twice)
	token, err := t.token()
	if err != nil {
		return err
	}
	plan, isText := token.(string)
	if !isText {
		t.fault(place("Members", key), kindOf(token), "must be the name of a plan, such as \"gold\"")
	}
	if ok {
		put(&t.config.Members, key, plan)
	}
	return t.skip(token)
}

func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[key] = v
}
