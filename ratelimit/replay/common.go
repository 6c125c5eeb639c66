package replay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// commonNames are the fields of the Combined format, in their order.
var commonNames = []string{"host", "ident", "user", "time", "request", "status", "bytes", "referer", "agent"}

// A commonParser reads the Common format. Its fields count from 0; -1 is none.
type commonParser struct {
	key, time, cost, plan int
	last                  int // the last of them
	values                [][]byte
}

func newCommonParser(names fields) (*commonParser, error) {
	p := new(commonParser)
	var faults []error
	for _, f := range []struct {
		field, name string
		at          *int
	}{{"Key", names.key, &p.key}, {"Time", names.time, &p.time}, {"Cost", names.cost, &p.cost}, {"Plan", names.plan, &p.plan}} {
		if *f.at = slices.Index(commonNames, f.name); *f.at < 0 && f.name != "" {
			n, err := strconv.ParseUint(f.name, 10, 8)
			if err != nil || n == 0 {
				faults = append(faults, fmt.Errorf("field Config.%s is %q: must be a number from 1 to 255 or one of %q in the common format", f.field, f.name, commonNames))
			}
			*f.at = int(n) - 1
		}
		p.last = max(p.last, *f.at)
	}
	return p, errors.Join(faults...)
}

func (p *commonParser) parse(line []byte, e *entry) error {
	p.values = p.values[:0]
	for len(p.values) <= p.last {
		line = bytes.TrimLeft(line, " ")
		if len(line) == 0 {
			break
		}
		value, rest, ok := commonField(line)
		if !ok {
			return errQuote
		}
		p.values, line = append(p.values, value), rest
	}
	return e.set(p.value(p.time), p.value(p.key), p.value(p.plan), p.value(p.cost), p.cost >= 0)
}

func (p *commonParser) value(at int) []byte {
	if at < 0 || at >= len(p.values) {
		return nil
	}
	return p.values[at]
}

// commonField cuts the first field off a line that does not begin with a space. Escapes in it
// stay, and so do the brackets of an address with a port, such as [2001:db8::1]:443.
func commonField(line []byte) (value, rest []byte, ok bool) {
	whole, end := line, byte(' ')
	switch line[0] {
	case '[':
		end, line = ']', line[1:]
	case '"':
		end, line = '"', line[1:]
	}
	for at := 0; ; at++ {
		n := bytes.IndexByte(line[at:], end)
		if n < 0 {
			return line, nil, end == ' '
		}
		at += n
		if rest := line[at+1:]; end == ']' && len(rest) > 1 && rest[0] == ':' && rest[1] >= '0' && rest[1] <= '9' {
			port, rest, _ := bytes.Cut(rest, []byte{' '})
			return whole[:1+at+1+len(port)], rest, true
		}
		if end != '"' || !escaped(line[:at]) {
			return line[:at], line[at+1:], true
		}
	}
}

// escaped reports whether what follows a text is escaped by the backslashes at its end.
func escaped(text []byte) bool {
	return (len(text)-len(bytes.TrimRight(text, `\`)))%2 == 1
}
