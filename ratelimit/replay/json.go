package replay

import (
	"bytes"
	"encoding/json"
	"strings"
)

// A jsonParser reads JSON objects. Its fields are the names on the way to a value.
type jsonParser struct{ key, time, cost, plan []string }

func newJSONParser(names fields) *jsonParser {
	way := func(name string) []string {
		if name == "" {
			return nil
		}
		return strings.Split(name, ".")
	}
	return &jsonParser{way(names.key), way(names.time), way(names.cost), way(names.plan)}
}

func (p *jsonParser) parse(line []byte, e *entry) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil || object == nil {
		return errJSON
	}
	var texts [4][]byte
	for i, way := range [][]string{p.time, p.key, p.plan, p.cost} {
		if way == nil {
			continue
		}
		var err error
		if texts[i], err = jsonText(object, way); err != nil {
			return err
		}
	}
	return e.set(texts[0], texts[1], texts[2], texts[3], p.cost != nil)
}

// jsonText returns the text or the number at the end of a way, or nil if there is none. A name that
// has dots itself is preferred to a way.
func jsonText(object map[string]json.RawMessage, way []string) ([]byte, error) {
	value, ok := object[strings.Join(way, ".")]
	if !ok && len(way) > 1 {
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(object[way[0]], &inner) // stays empty if there is no object
		return jsonText(inner, way[1:])
	}
	if len(value) > 0 && value[0] == '[' {
		var elements []json.RawMessage
		if err := json.Unmarshal(value, &elements); err != nil || len(elements) == 0 {
			return nil, err
		}
		value = elements[0]
	}
	value = bytes.TrimSpace(value)
	switch {
	case len(value) == 0 || string(value) == "null":
		return nil, nil
	case value[0] == '"':
		var text string
		err := json.Unmarshal(value, &text)
		return []byte(text), err
	case value[0] == '{' || value[0] == '[':
		return nil, errValue
	}
	return value, nil
}
