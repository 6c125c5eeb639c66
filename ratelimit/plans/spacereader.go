package plans

import (
	"errors"
	"io"
)

// A spaceReader refuses to go on behind many spaces in a row. A [json.Decoder] looks at
// all of them again whenever it has read some more: 100 MB of them, as they come from a
// network, would keep it busy for hours.
type spaceReader struct {
	in  io.Reader
	run int // of spaces, up to here
}

// maxSpaces is more than anybody needs to set out a table.
const maxSpaces = 4096

var errSpaces = errors.New("ratelimit: too many spaces in a row")

func (r *spaceReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	for i, c := range b[:n] {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			r.run = 0
		} else if r.run++; r.run > maxSpaces {
			return i, errSpaces
		}
	}
	return n, err
}
