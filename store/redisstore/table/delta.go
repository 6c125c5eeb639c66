package table

import (
	"encoding/binary"
	"errors"
	"strings"
)

// A delta makes one text of another: it copies runs of lines and adds others. It is a sequence of
// operations, each a uvarint: n<<1 is followed by n bytes, which are new text, packed; n<<1|1 by the
// offset of n bytes in the old text, as a uvarint.

// diff returns a delta from old to text. Lines may move and repeat.
func diff(old, text string) []byte {
	at := make(map[string]int) // the first of equal lines
	for from := 0; from < len(old); {
		line := lineAt(old, from)
		if _, ok := at[line]; !ok {
			at[line] = from
		}
		from += len(line)
	}
	var d []byte
	added, from, to := 0, 0, 0 // where new bytes begin, and the run of old ones
	flush := func(end int) {
		if added < end {
			fresh := pack(text[added:end])
			d = binary.AppendUvarint(d, uint64(len(fresh))<<1)
			d = append(d, fresh...)
		}
	}
	copied := func() {
		if from < to {
			d = binary.AppendUvarint(d, uint64(to-from)<<1|1)
			d = binary.AppendUvarint(d, uint64(from))
			from, to = 0, 0
		}
	}
	for i := 0; i < len(text); {
		line := lineAt(text, i)
		switch begin, ok := at[line]; {
		case to > 0 && strings.HasPrefix(old[to:], line): // equal lines: the run goes on
			to += len(line)
			added = i + len(line)
		case ok:
			copied()
			flush(i)
			from, to = begin, begin+len(line)
			added = i + len(line)
		default:
			copied()
		}
		i += len(line)
	}
	copied()
	flush(len(text))
	return d
}

// lineAt returns the line that begins at an offset, with its end.
func lineAt(text string, from int) string {
	if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
		return text[from : from+n+1]
	}
	return text[from:]
}

var errDelta = errors.New("table: a change that is kept cannot be read")

// patch returns the text that a delta makes of old.
func patch(old string, d []byte) (string, error) {
	var b strings.Builder
	for len(d) > 0 {
		op, n := binary.Uvarint(d)
		if n <= 0 {
			return "", errDelta
		}
		d = d[n:]
		size := op >> 1
		if op&1 == 0 {
			if size > uint64(len(d)) {
				return "", errDelta
			}
			fresh, err := unpack(d[:size])
			if err != nil {
				return "", errDelta
			}
			b.WriteString(fresh)
			d = d[size:]
			continue
		}
		from, n := binary.Uvarint(d)
		if n <= 0 || from > uint64(len(old)) || size > uint64(len(old))-from || b.Len() > maxText {
			return "", errDelta
		}
		d = d[n:]
		b.WriteString(old[from : from+size])
	}
	return b.String(), nil
}
