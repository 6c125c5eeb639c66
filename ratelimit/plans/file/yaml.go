package file

import (
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// parseYAML reads the plain lines of members and keys itself, where the result is certainly the
// same, and the rest with the library.
func parseYAML(f *faults, text string) (root node, ok bool) {
	if reduced, runs := cutRuns(text, leastRun); len(runs) > 0 {
		attempt := faults{file: f.file}
		r := yamlReader{faults: &attempt, runs: runs}
		root, ok := r.document(reduced)
		if ok && len(r.runs) == 0 {
			*f = attempt
			return root, true
		}
	}
	r := yamlReader{faults: f}
	return r.document(text)
}

// A yamlReader converts the nodes of the library.
type yamlReader struct {
	*faults
	runs    []run // that were cut and not found yet
	removed int32 // lines, before the next run
	text    string
	lines   int32 // of the text
}

// document reads the one document of a file.
func (r *yamlReader) document(text string) (root node, ok bool) {
	r.text, r.lines = text, int32(strings.Count(text, "\n"))+1
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		r.add(position{}, "", "an empty file", "must have at least the limit of all keys that it does not name: default: 5/s")
		return node{}, false
	}
	if err == nil {
		root = r.fields(document.Content[0])
		err = decoder.Decode(&second)
	}
	switch {
	case err == nil:
		r.add(r.position(&second), "", "a second document", `must be one; leave out the lines "---" and "..."`)
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	default:
		return root, true
	}
	return node{}, false
}

// position returns the place of a node in the whole text.
func (r *yamlReader) position(n *yaml.Node) position {
	at := r.within(n.Line, n.Column)
	at.Line += r.removed
	return at
}

// within returns a position in the text. The end of a text without a last line end is on the
// last line.
func (r *yamlReader) within(line, column int) position {
	if line > int(r.lines) {
		return position{Line: r.lines}
	}
	return position{int32(line), int32(column)}
}

// fields reads the map of the document, and puts the runs back.
func (r *yamlReader) fields(n *yaml.Node) node {
	if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle != 0 {
		return r.node(n)
	}
	root := r.map_(n, nil)
	for i := 0; i+1 < len(n.Content); i += 2 {
		e, ok := r.entry(n.Content[i])
		if !ok {
			continue
		}
		if value := n.Content[i+1]; value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 {
			e.value = r.map_(value, r.section)
		} else {
			e.value = r.node(value)
		}
		root.inside.entries = append(root.inside.entries, e)
	}
	return root
}

// section reads the entries of a field.
func (r *yamlReader) section(section *inside, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if len(r.runs) > 0 && r.runs[0].is(key, value) {
			if len(section.entries) == 0 && i+2 == len(n.Content) {
				section.entries = r.runs[0].entries // without a copy: it may be a million
			} else {
				section.entries = append(section.entries, r.runs[0].entries...)
			}
			r.removed += r.runs[0].removed
			r.runs = r.runs[1:]
			continue
		}
		if e, ok := r.entry(key); ok {
			e.value = r.node(value)
			section.entries = append(section.entries, e)
		}
	}
}

// map_ makes a map. fill adds the entries.
func (r *yamlReader) map_(n *yaml.Node, fill func(*inside, *yaml.Node)) node {
	made := node{at: r.position(n), kind: kindMap, inside: new(inside)}
	r.plain(n)
	if fill != nil {
		made.inside.entries = make([]entry, 0, len(n.Content)/2)
		fill(made.inside, n)
	}
	return made
}

// entry reads the key of an entry. It returns false for a rejected one.
func (r *yamlReader) entry(key *yaml.Node) (e entry, ok bool) {
	e = entry{at: r.position(key), key: key.Value}
	switch {
	case !r.plain(key):
	case key.Kind != yaml.ScalarNode:
		r.add(e.at, "", "a name that is not one text", "must be a text on one line")
	case key.Value == "<<" && key.Style&quoted == 0:
		r.add(e.at, "", "a merge key (<<)", "must not be there: write out what it stands for")
	default:
		return e, true
	}
	return e, false
}

const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// node reads a value.
func (r *yamlReader) node(n *yaml.Node) node {
	made := node{at: r.position(n)}
	if !r.plain(n) {
		made.kind = kindRejected
		return made
	}
	switch n.Kind {
	case yaml.MappingNode:
		made.kind, made.inside = kindMap, new(inside)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if e, ok := r.entry(n.Content[i]); ok {
				e.value = r.node(n.Content[i+1])
				made.inside.entries = append(made.inside.entries, e)
			}
		}
	case yaml.SequenceNode:
		made.kind, made.inside = kindList, new(inside)
		for _, item := range n.Content {
			made.inside.items = append(made.inside.items, r.node(item))
		}
	default:
		made.text = n.Value
		if n.Value == "" && n.Style&quoted == 0 {
			made.kind = kindEmpty
		}
	}
	return made
}

// plain rejects syntax that gives a node another meaning than its text.
func (r *yamlReader) plain(n *yaml.Node) bool {
	var found string
	switch {
	case n.Kind == yaml.AliasNode:
		found = "an alias (*)"
	case n.Anchor != "":
		found = "an anchor (&)"
	case n.Style&yaml.TaggedStyle != 0:
		found = "a tag (!)"
	default:
		return true
	}
	r.add(r.position(n), "", found, "must not be there: write out what is meant; a text that begins with this character must be in quotes")
	return false
}

// syntax adds the fault of a text that the library cannot read. It does not pass the message of
// the library on, which may hold a key.
func (r *yamlReader) syntax(err error) {
	var at position
	found, want := "what is not YAML", `must be lines of "name: value" and "- item"`
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		mark := load.Mark
		if strings.Contains(load.Message, "unexpected end of stream") || strings.Contains(load.Message, "could not find expected ':'") {
			mark = load.ContextMark // the beginning of the unclosed part
		}
		at = r.within(mark.Line, mark.Column)
		for _, known := range yamlFaults {
			if strings.HasPrefix(load.Message, known.message) {
				found, want = known.found, known.want
				break
			}
		}
		if r.isTab(at) {
			found, want = "a tab", "must be indented with spaces"
		}
	}
	r.add(at, "", found, want)
}

// isTab reports whether there is a tab at a position.
func (r *yamlReader) isTab(at position) bool {
	lines := r.text
	for range at.Line - 1 {
		_, lines, _ = strings.Cut(lines, "\n")
	}
	line, _, _ := strings.Cut(lines, "\n")
	characters := []rune(line)
	return at.Column >= 1 && int(at.Column) <= len(characters) && characters[at.Column-1] == '\t'
}

// yamlFaults are messages of the library, and what they mean for a file of limits.
var yamlFaults = []struct{ message, found, want string }{
	{"found character that cannot start any token", "a character that nothing can begin with", "must be indented with spaces, not tabs; what begins with @, ` or % must be in quotes"},
	{"found a tab character", "a tab", "must be indented with spaces"},
	{"mapping values are not allowed", `a ":" that cannot be here`, `must be one "name: value" on a line, and as far to the right as the other lines of the same field`},
	{"could not find expected ':'", "a line that is no entry", `must be "name: value", with a space behind the colon`},
	{"did not find expected <document start>", "a line that does not go with the one above it", `must stand below "name: value", with a space behind the colon`},
	{"found unexpected end of stream", "a quote that is not closed", "must be closed by the same quote"},
	{"found unexpected document indicator", "a quote that is not closed", "must be closed by the same quote"},
	{"found unknown escape character", "an escape that YAML does not know", `must be in single quotes, or with \\ for a backslash`},
	{"did not find expected key", "a line that does not go with those above it", "must be as far to the right as the other lines of the same field"},
	{"did not find expected '-' indicator", "a line that does not go with the list above it", `must begin with "- ", or be further to the left`},
	{"did not find expected ',' or ']'", `a list in "[" that is not closed`, `must have "," between items and end with "]"`},
	{"did not find expected ',' or '}'", `a map in "{" that is not closed`, `must have "," between entries and end with "}"`},
	{"did not find expected node content", `a bracket, brace or comma where a value belongs`, "must be in quotes, if it is meant"},
	{"found unknown directive name", "a directive (%)", "must not be there"},
	{"unknown anchor", "an alias (*)", "must not be there: write out what is meant; a text that begins with this character must be in quotes"},
	{"found undefined tag handle", "a tag (!)", "must not be there; a text that begins with this character must be in quotes"},
}
