package file

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// MaxSize is how large a file can be, in bytes: 256 MiB. A million hashed keys take some 80.
const MaxSize = 256 << 20

// Parse reads the content of a file of limits: JSON if its name ends in .json, else YAML. The
// error joins an [Error] for each of the first 20 faults. If the error is nil, [plans.NewTable]
// accepts the config. Parse does not keep data.
func Parse(name string, data []byte) (plans.TableConfig, error) {
	f := &faults{file: name}
	if len(data) > MaxSize {
		f.add(position{}, "", fmt.Sprintf("%d bytes", len(data)), fmt.Sprintf("must not be larger than %d MiB", MaxSize>>20))
		return plans.TableConfig{}, f.err()
	}
	root, ok := parseTree(f, data, strings.EqualFold(filepath.Ext(name), ".json"))
	if !ok {
		return plans.TableConfig{}, f.err()
	}
	b := builder{faults: f}
	c := b.table(root)
	if err := f.err(); err != nil {
		return plans.TableConfig{}, err
	}
	return c, nil
}

// parseTree reads the nodes of a file. It returns false if they are not worth reading.
func parseTree(f *faults, data []byte, isJSON bool) (root node, ok bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors on Windows write it
	if !checkText(f, data, isJSON) {
		return node{}, false
	}
	if isJSON {
		return parseJSON(f, string(data))
	}
	return parseYAML(f, string(data))
}

// checkText rejects bytes that are not UTF-8 and, in YAML, invisible characters. Some of those
// end a line in YAML and in no editor.
func checkText(f *faults, data []byte, isJSON bool) (ok bool) {
	line, start := int32(1), 0
	for i := 0; i < len(data); {
		c := data[i]
		if c >= ' ' && c < 0x7f || c == '\t' {
			i++
			continue
		}
		if c == '\n' {
			i++
			line, start = line+1, i
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		at := func() position { // counted only for a fault: all of the file may be one line
			return position{line, int32(utf8.RuneCount(data[start:i])) + 1}
		}
		switch {
		case r == utf8.RuneError && size == 1:
			found := "a byte that is not UTF-8"
			if i <= 1 {
				found = "a file that is not UTF-8"
			}
			f.add(at(), "", found, "must be saved as UTF-8")
			return false
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n', isJSON && r != 0:
		case r < ' ', r >= 0x7f && r <= 0x9f, r == '\u2028', r == '\u2029', r == '\ufeff', r == '\ufffe', r == '\uffff':
			f.add(at(), "", fmt.Sprintf("the character %U, which cannot be seen", r), `must not be there; in double quotes it can be written as an escape, such as "\u2028"`)
			return false
		}
		i += size
	}
	return true
}
