package file

import (
	"errors"

	"github.com/keyrate/keyrate/ratelimit/plans/internal/jsontext"
)

// parseJSON reads the nodes of a JSON document.
func parseJSON(f *faults, text string) (root node, ok bool) {
	r := jsonReader{jsontext.NewScanner(text)}
	root, err := r.node(r.Value())
	if err == nil {
		err = r.End()
	}
	if fault, is := errors.AsType[*jsontext.SyntaxError](err); is {
		f.add(position(fault.Position), "", fault.Found, fault.Want)
	}
	return root, err == nil
}

// A jsonReader makes nodes of the values of a document.
type jsonReader struct{ *jsontext.Scanner }

var jsonKinds = [...]kind{
	jsontext.Text: kindText, jsontext.Number: kindNumber, jsontext.Bool: kindWord, jsontext.Null: kindEmpty, jsontext.List: kindList, jsontext.Map: kindMap,
}

// node makes the node of a value that has begun.
func (r jsonReader) node(v jsontext.Value, err error) (node, error) {
	n := node{at: position(v.Position), kind: jsonKinds[v.Kind], text: v.Text}
	if err != nil {
		return n, err
	}
	switch v.Kind {
	case jsontext.List:
		n.inside = new(inside)
		err = r.Items(func(v jsontext.Value) error {
			item, err := r.node(v, nil)
			n.inside.items = append(n.inside.items, item)
			return err
		})
	case jsontext.Map:
		n.inside = new(inside)
		err = r.Entries(func(at jsontext.Position, name string) error {
			value, err := r.node(r.Value())
			n.inside.entries = append(n.inside.entries, entry{position(at), name, value})
			return err
		})
	}
	return n, err
}
