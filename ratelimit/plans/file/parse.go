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

// Parse reads a file of limits that is in memory: JSON if its name ends in .json, else YAML.
// The error joins a [Error] for each fault, of which it tells the first 20. The config
// of a nil error is one of which [plans.NewTable] makes a table. data is not kept.
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

// parseTree reads the nodes of a file; not ok: there is no sense in looking at them.
func parseTree(f *faults, data []byte, isJSON bool) (root node, ok bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // that some editors on Windows write
	if !checkText(f, data, isJSON) {
		return node{}, false
	}
	if isJSON {
		return parseJSON(f, string(data))
	}
	return parseYAML(f, string(data))
}

// checkText refuses bytes that are not UTF-8 and, in YAML, characters that cannot be seen,
// some of which end a line for YAML and for no editor.
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
		at := func() position { // not counted unless it is told: a line may have all of the file
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
