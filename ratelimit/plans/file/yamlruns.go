package file

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The library takes some 2.5 s for a million lines. Nearly all are plain entries of members and
// keys. Such runs of lines are cut out and read here; one line replaces each in the text for the
// library. If the library finds that line as an entry of the field, the lines of the run are
// entries there, too. Unless it finds every such line, the library reads the whole text.

// leastRun is the least number of lines that are worth a cut.
const leastRun = 32

// A run is lines of "key: value" in one column, blank lines and comments.
type run struct {
	entries []entry
	line    int   // of the line that replaces them, in the reduced text
	column  int   // of their keys
	removed int32 // how many lines fewer the reduced text has
}

// runName and runValue make the entry that replaces a run.
const runName, runValue = "keyrate-run", "x"

// is reports whether an entry is the one that replaces the run.
func (r *run) is(key, value *yaml.Node) bool {
	return key.Line == r.line && key.Column == r.column && key.Kind == yaml.ScalarNode && key.Style == 0 && key.Value == runName+strconv.Itoa(r.line) &&
		value.Line == r.line && value.Kind == yaml.ScalarNode && value.Style == 0 && value.Value == runValue
}

// cutRuns returns the text without its runs of at least so many entries. It returns no runs if
// a line behind one might belong to its last line.
func cutRuns(text string, least int) (reduced string, runs []run) {
	var out strings.Builder
	var r run
	line, removed, begin := 0, 0, 0 // the number of lines, of those left out, and where the run begins
	runLine := 0
	inside := false
	end := func(upTo int) { // of the run
		if len(r.entries) >= least {
			r.removed = int32(line - runLine - 1)
			r.line = runLine + 1 - removed
			removed += int(r.removed)
			out.WriteString(strings.Repeat(" ", r.column-1) + runName + strconv.Itoa(r.line) + ": " + runValue + "\n")
			runs = append(runs, r)
			r = run{}
		} else {
			out.WriteString(text[begin:upTo])
			r.entries = r.entries[:0]
		}
		begin = upTo
	}
	for i := 0; i < len(text); line++ {
		next := len(text)
		if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
			next = i + n + 1
		}
		content := strings.TrimSuffix(strings.TrimSuffix(text[i:next], "\n"), "\r")
		blank := isBlank(content)
		e, ok := entry{}, false
		if inside && !blank {
			e, ok = plainEntry(content, int32(line)+1)
		}
		if len(r.entries) > 0 && !blank && (!ok || int(e.at.Column) != r.column) {
			cut := len(r.entries) >= least
			end(i)
			if cut && indent(content) >= runs[len(runs)-1].column {
				return "", nil
			}
		}
		switch {
		case ok:
			if len(r.entries) == 0 {
				out.WriteString(text[begin:i])
				begin, runLine, r.column = i, line, int(e.at.Column)
			}
			r.entries = append(r.entries, e)
		case !blank && content[0] != ' ' && content[0] != '\t':
			inside = isSection(content)
		}
		i = next
	}
	end(len(text))
	return out.String(), runs
}

// indent counts what a line is indented by; a tab is never right.
func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// isBlank reports whether a line is empty or a comment in ASCII.
func isBlank(line string) bool {
	line = strings.TrimLeft(line, " ")
	return line == "" || line[0] == '#' && isASCII(line)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\t' {
			return false
		}
	}
	return true
}

// isSection reports whether a line begins members or keys.
func isSection(line string) bool {
	for _, name := range []string{"members:", "keys:"} {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return isRest(rest)
		}
	}
	return false
}

// isRest reports whether nothing but a comment follows.
func isRest(rest string) bool {
	trimmed := strings.TrimLeft(rest, " ")
	return trimmed == "" || trimmed[0] == '#' && len(trimmed) < len(rest) && isASCII(trimmed)
}

// The characters of plain entries. None has a meaning in YAML in its place.
const (
	inKey     = 1 << iota // and ":" if one of these is behind it
	inValue               // and one space if one of these is behind it
	beginsOne             // either
)

var plainChars = func() (chars [256]uint8) {
	for c := range 256 {
		switch c := byte(c); {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			chars[c] = inKey | inValue | beginsOne
		case strings.IndexByte("-./+=@~", c) >= 0:
			chars[c] = inKey | inValue
		case c == ';' || c == ',':
			chars[c] = inValue
		}
	}
	return chars
}()

// maxPlainKey: a key of more than 1024 characters must have a "?" before it.
const maxPlainKey = 512

// plainEntry reads an indented line "key: value" that has no other meaning in YAML.
func plainEntry(line string, number int32) (e entry, ok bool) {
	begin := 0
	for begin < len(line) && line[begin] == ' ' {
		begin++
	}
	if begin == 0 || begin == len(line) || plainChars[line[begin]]&beginsOne == 0 {
		return e, false
	}
	i := begin + 1
	for ; i < len(line); i++ {
		if c := line[i]; plainChars[c]&inKey == 0 && (c != ':' || i+1 == len(line) || plainChars[line[i+1]]&inKey == 0) {
			break
		}
	}
	if i+2 >= len(line) || line[i] != ':' || line[i+1] != ' ' || i-begin > maxPlainKey {
		return e, false
	}
	e.at, e.key = position{number, int32(begin) + 1}, line[begin:i]
	for i++; i < len(line) && line[i] == ' '; i++ {
	}
	if i == len(line) || plainChars[line[i]]&beginsOne == 0 {
		return e, false
	}
	value := i
	for i++; i < len(line); i++ {
		if c := line[i]; plainChars[c]&inValue == 0 && (c != ' ' || i+1 == len(line) || plainChars[line[i+1]]&inValue == 0) {
			break
		}
	}
	if !isRest(line[i:]) {
		return e, false
	}
	e.value = node{at: position{number, int32(value) + 1}, text: line[value:i]}
	return e, true
}
