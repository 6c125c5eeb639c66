package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// A withheld stands for an error that users have written, in an error of ours. It shows
// one text, whatever prints it: no fields of the error, and nothing that it wraps.
type withheld struct {
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

// Withhold returns an error for a message about err that must not show the key: it prints
// the text of err, or a note if that text holds the key in any usual encoding, whatever
// prints it. [errors.Is] and [errors.As] see through it; As does not where the text is
// withheld. Errors of a context and a [PanicError] are returned unchanged.
func Withhold(err error, key string) error {
	switch e := err.(type) { //nolint:errorlint // not what it wraps
	case nil, *PanicError:
		return err
	case *withheld:
		if !reveals(e.text, key) { // it may have been made for another key
			return err
		}
	}
	if err == context.DeadlineExceeded || err == context.Canceled { //nolint:errorlint // not what wraps it
		return err
	}
	w := &withheld{err: err, text: err.Error()}
	switch {
	case len(w.text) > mostText:
		w.text, w.hidden = longText, true
	case reveals(w.text, key):
		w.text, w.hidden = hiddenText, true
	}
	return w
}

func (w *withheld) Error() string                { return w.text }
func (w *withheld) Format(s fmt.State, _ rune)   { _, _ = s.Write([]byte(w.text)) }
func (w *withheld) MarshalJSON() ([]byte, error) { return json.Marshal(w.text) }

// Is lets errors.Is see the error. There is no Unwrap, which programs that print errors in
// depth follow.
func (w *withheld) Is(target error) bool { return errors.Is(w.err, target) }

// As lets errors.As find the error, unless its text is withheld.
func (w *withheld) As(target any) bool { return !w.hidden && errors.As(w.err, target) }
