package usage

// A stream passes the data of server-sent events to a scanner, as the HTML standard reads
// them (section 9.2.6): a line ends with CR, LF or both, and an empty line ends the event.
type stream struct {
	scanner scanner
	line    int  // bytes of the line that equal dataField so far; skipped or inData
	cr      bool // the last byte: a LF belongs to it
}

// dataField begins a line of data. All other lines are ignored: comments, other fields, and
// a field name alone, whose value is empty.
const dataField = "data:"

// What a stream does with the rest of a line.
const (
	skipped = -1
	inData  = len(dataField)
)

func (s *stream) feed(p []byte) {
	for i := 0; i < len(p); i++ {
		if s.line == inData || s.line == skipped {
			end := i
			for end < len(p) && p[end] != '\n' && p[end] != '\r' {
				end++
			}
			if s.line == inData {
				s.scanner.feed(p[i:end])
			}
			if i = end; i == len(p) {
				return
			}
		}
		s.step(p[i])
	}
}

// step takes a byte of a field's name or the end of a line.
func (s *stream) step(c byte) {
	crlf := s.cr && c == '\n'
	s.cr = c == '\r'
	switch {
	case crlf:
	case c == '\n' || c == '\r':
		s.endLine()
	case c == dataField[s.line]:
		s.line++
	default:
		s.line = skipped
	}
}

// endLine ends a line. Lines of data of one event are joined by a LF.
func (s *stream) endLine() {
	switch s.line {
	case 0:
		s.scanner.reset()
	case inData:
		s.scanner.feed([]byte{'\n'})
	}
	s.line = 0
}
