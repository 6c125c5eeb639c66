package usage

// A scanner reads the numbers of usage objects from a JSON text that comes in pieces. It
// needs the same memory for any text: it knows where it is on the way to a usage object, and
// only counts brackets elsewhere. A text that is not JSON stops it.
type scanner struct {
	counts counts
	event  bool // the text is the data of an event, which may hold a whole message or response
	final  bool // the counts are those of the end, if no other text follows
	over   bool // no other text follows that matters

	kind   kind // of the event
	outer  bool // this text has a count that is not in a message or response
	inner  bool // this text has one that is
	mode   mode
	back   mode      // after an escape
	path   [4]target // of the open objects that it knows
	depth  int       // of path
	nested int       // open brackets below path
	next   target    // what the next value is
	name   [32]byte  // of the next value, unescaped; known ones are shorter
	length int       // of name; more than it holds if the name is longer
	hex    int       // digits of \u that are still to come
	char   rune      // of \u
	number number
}

// A mode is what a scanner expects.
type mode uint8

const (
	atValue   mode = iota
	atName         // or the end of the object
	atColon        //
	atComma        // or the end of the object
	inName         //
	inType         // a string that names the kind of the event
	inDone         // what may be [DONE]
	inText         // a string that is a value
	inEscape       // after a backslash
	inHex          // after \u
	inNumber       // of a field
	inLiteral      // any other number, true, false or null
	inNested       // an object or array off the path
	stopped        // after the text, or after a fault
)

// reset prepares for another text and keeps the counts.
func (s *scanner) reset() {
	s.mode, s.depth, s.nested, s.next = atValue, 0, 0, target{object: document}
	s.kind, s.outer, s.inner = otherKind, false, false
}

// feed scans the next piece of the text.
func (s *scanner) feed(p []byte) {
	for i := 0; i < len(p); i++ {
		// Most bytes of a response are in strings and in objects that are of no interest.
		switch s.mode {
		case stopped:
			return
		case inText, inName, inType:
			from := i
			for i < len(p) && p[i] != '"' && p[i] != '\\' {
				i++
			}
			if s.mode != inText {
				s.addToName(p[from:i]...)
			}
		case inNested:
			for i < len(p) && !bracketOrQuote[p[i]] {
				i++
			}
		}
		if i < len(p) {
			s.step(p[i])
		}
	}
}

var bracketOrQuote = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

func (s *scanner) step(c byte) {
	switch s.mode {
	case inName, inType, inText:
		s.inString(c)
	case inDone:
		s.inDone(c)
	case inEscape:
		s.escaped(c)
	case inHex:
		s.hexDigit(c)
	case inNested:
		s.inNested(c)
	case inNumber:
		if s.number.add(c) {
			return
		}
		if n, ok := s.number.value(); ok && delimits(c) {
			s.count(n)
		}
		s.afterWord(c)
	case inLiteral:
		if delimits(c) {
			s.afterWord(c)
		}
	default:
		if !space(c) {
			s.token(c)
		}
	}
}

// token takes a byte between strings and words.
func (s *scanner) token(c byte) {
	switch {
	case s.mode == atValue:
		s.value(c)
	case s.mode == atColon && c == ':':
		s.mode = atValue
	case s.mode == atComma && c == ',':
		s.mode = atName
	case s.mode == atName && c == '"':
		s.mode, s.length = inName, 0
	case s.mode != atColon && c == '}':
		s.depth--
		s.ended()
	default:
		s.mode = stopped
	}
}

// value takes the first byte of a value.
func (s *scanner) value(c byte) {
	switch {
	case c == '{' && s.next.object != noObject:
		s.path[s.depth] = s.next
		s.depth++
		s.mode = atName
	case c == '[' && s.event && s.depth == 0:
		s.mode, s.length = inDone, 0
	case c == '{' || c == '[':
		s.nested, s.mode = 1, inNested
	case c == '"' && s.next.kind:
		s.mode, s.length = inType, 0
	case c == '"':
		s.mode = inText
	case c == '}' || c == ']' || c == ',' || c == ':':
		s.mode = stopped
	case s.next.field != noField && (c == '-' || '0' <= c && c <= '9'):
		s.number, s.mode = number{}, inNumber
		s.number.add(c)
	default:
		s.mode = inLiteral
	}
}

// ended is called after each value.
func (s *scanner) ended() {
	switch {
	case s.nested > 0:
		s.mode = inNested
	case s.depth > 0:
		s.mode = atComma
	default:
		s.mode = stopped
		s.textEnded()
	}
}

// count takes the number of a field.
func (s *scanner) count(n int64) {
	s.counts.set(s.next.field, n)
	if s.path[1].object == message {
		s.inner = true
	} else {
		s.outer = true
	}
}

// textEnded is called at the end of a text that is not malformed. The counts in a message or
// response are provisional while that goes on.
func (s *scanner) textEnded() {
	s.final = s.final || s.outer || s.inner && s.kind == responseEnd
	s.over = s.over || !s.event || s.kind != otherKind
}

// inDone takes a byte of an event that is not an object.
func (s *scanner) inDone(c byte) {
	if c != ']' && s.length < len("DONE") {
		s.addToName(c)
		return
	}
	s.over = s.over || c == ']' && string(s.name[:s.length]) == "DONE"
	s.mode = stopped
}

// afterWord takes the byte after a number or literal.
func (s *scanner) afterWord(c byte) {
	s.ended()
	if s.mode == atComma && !space(c) {
		s.token(c)
	}
}

func (s *scanner) inNested(c byte) {
	switch c {
	case '"':
		s.mode = inText
	case '{', '[':
		s.nested++
	case '}', ']':
		if s.nested--; s.nested == 0 {
			s.ended()
		}
	}
}

// inString takes the byte at which a string ends, or its backslash.
func (s *scanner) inString(c byte) {
	switch {
	case c == '\\':
		s.back, s.mode = s.mode, inEscape
	case s.mode == inType:
		s.kind = kindOf(string(s.name[:min(s.length, len(s.name))]))
		s.ended()
	case s.mode == inText:
		s.ended()
	default:
		s.next, s.mode = target{}, atColon
		if s.length <= len(s.name) {
			s.next = s.path[s.depth-1].object.member(string(s.name[:s.length]), s.event)
		}
	}
}

// addToName adds bytes to the name. A zero stands for what no known name has.
func (s *scanner) addToName(p ...byte) {
	copy(s.name[min(s.length, len(s.name)):], p)
	s.length = min(s.length+len(p), len(s.name)+1)
}

// escaped takes the byte after a backslash.
func (s *scanner) escaped(c byte) {
	if c == 'u' {
		s.mode, s.hex, s.char = inHex, 4, 0
		return
	}
	s.mode = s.back
	if s.mode != inText {
		s.addToName(0)
	}
}

func (s *scanner) hexDigit(c byte) {
	switch {
	case '0' <= c && c <= '9':
		s.char = s.char<<4 | rune(c-'0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		s.char = s.char<<4 | rune(c|0x20-'a'+10)
	default:
		s.mode = stopped
		return
	}
	if s.hex--; s.hex > 0 {
		return
	}
	s.mode = s.back
	if s.char >= 0x80 {
		s.char = 0
	}
	if s.mode != inText {
		s.addToName(byte(s.char))
	}
}

func space(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// delimits reports whether c may follow a number or a literal that is a member.
func delimits(c byte) bool { return space(c) || c == ',' || c == '}' }
