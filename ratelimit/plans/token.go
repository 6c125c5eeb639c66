package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errNoTable ends the reading. The faults say why.
var errNoTable = errors.New("ratelimit: not the JSON form of a table")

// maxDepth bounds what is put down of arrays within arrays. A table has three levels.
const maxDepth = 32

// stop ends the reading with a fault at the place that was reached.
func (t *tableReader) stop(value, want string) error {
	t.fault(fmt.Sprintf("TableConfig behind byte %d", t.in.InputOffset()), value, want)
	return errNoTable
}

func (t *tableReader) token() (json.Token, error) {
	token, err := t.in.Token()
	if err != nil {
		if errors.Is(err, errSpaces) {
			return nil, t.stop("spaces", fmt.Sprintf("must not go on with more than %d spaces and line ends", maxSpaces))
		}
		if isSyntax(err) {
			return nil, t.stop("no JSON", `must be one JSON object, such as {"default": "5/s"}`)
		}
		return nil, err
	}
	if d, ok := token.(json.Delim); ok {
		switch d {
		case '{', '[':
			t.depth++
		default:
			t.depth--
		}
		if t.depth > maxDepth {
			return nil, t.stop("many levels", "must not be nested any deeper")
		}
	}
	return token, nil
}

// isSyntax tells an error of the text from one of the reader.
func isSyntax(err error) bool {
	_, ok := errors.AsType[*json.SyntaxError](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// skip reads on to the end of the value that begins with token.
func (t *tableReader) skip(token json.Token) error {
	d, ok := token.(json.Delim)
	if !ok || d == '}' || d == ']' {
		return nil
	}
	for outside := t.depth - 1; t.depth > outside; {
		if _, err := t.token(); err != nil {
			return err
		}
	}
	return nil
}

// skipNext skips the next value.
func (t *tableReader) skipNext() error {
	token, err := t.token()
	if err != nil {
		return err
	}
	return t.skip(token)
}

// each calls member for each name of an object that has begun. It has to read the
// value.
func (t *tableReader) each(member func(name string) error) error {
	for {
		token, err := t.token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok {
			return nil // the closing brace: the decoder lets nothing else pass
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// kindOf tells what was found, and nothing of it: it may be a key in the wrong place.
func kindOf(token json.Token) string {
	switch v := token.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case json.Delim:
		if v == '[' {
			return "an array"
		}
		return "an object"
	default:
		return "a number"
	}
}
