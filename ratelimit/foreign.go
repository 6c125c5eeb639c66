package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// A foreignError stands for the error of a store or of a look-up, written by others, in an
// error of ours. It shows one text, whatever prints it: not the fields of the error, nor
// what it wraps.
type foreignError struct {
	err    error
	text   string
	hidden bool // the text holds the key, and is not that of err
}

// mostText is how long a text of an error may be, in bytes, for it to be shown: a search
// of more for the key would take too long.
const mostText = 4096

const (
	hiddenText = "the text of the error holds the key and is withheld"
	longText   = "the text of the error is too long to be shown"
)

// withoutKey returns what stands for err where the key must not be shown.
func withoutKey(err error, key string) error {
	switch err.(type) { //nolint:errorlint // not what it wraps
	case nil, *PanicError, *foreignError:
		return err
	}
	if err == context.DeadlineExceeded || err == context.Canceled { //nolint:errorlint // not what wraps it
		return err
	}
	f := &foreignError{err: err, text: err.Error()}
	switch {
	case len(f.text) > mostText:
		f.text, f.hidden = longText, true
	case reveals(f.text, key):
		f.text, f.hidden = hiddenText, true
	}
	return f
}

func (f *foreignError) Error() string                { return f.text }
func (f *foreignError) Format(s fmt.State, _ rune)   { _, _ = s.Write([]byte(f.text)) }
func (f *foreignError) MarshalJSON() ([]byte, error) { return json.Marshal(f.text) }

// Is lets errors.Is see the error. There is no Unwrap, since those who print errors in
// depth follow it.
func (f *foreignError) Is(target error) bool { return errors.Is(f.err, target) }

// As lets errors.As find the error, unless its text is withheld.
func (f *foreignError) As(target any) bool { return !f.hidden && errors.As(f.err, target) }
