package replay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A csvParser reads values with commas between. Its columns count from 0; -1 is none.
type csvParser struct {
	key, time, cost, plan int
	heading               bool // is the next line
	values                [][]byte
}

// newCSVParser returns the parser of a file that begins with a line.
func newCSVParser(names fields, first []byte) (*csvParser, error) {
	p := new(csvParser)
	columns := []struct {
		field, name string
		at          *int
	}{{"Key", names.key, &p.key}, {"Time", names.time, &p.time}, {"Cost", names.cost, &p.cost}, {"Plan", names.plan, &p.plan}}
	for _, c := range columns {
		*c.at = -1
		if c.name != "" {
			n, err := strconv.ParseUint(c.name, 10, 8)
			p.heading = p.heading || err != nil || n == 0
			*c.at = int(n) - 1
		}
	}
	if !p.heading {
		return p, nil
	}
	if err := p.split(first); err != nil {
		return nil, fmt.Errorf("the heading %w", err)
	}
	var faults []error
	for _, c := range columns {
		*c.at = slices.IndexFunc(p.values, func(v []byte) bool { return string(v) == c.name })
		if *c.at < 0 && c.name != "" { // the line may be data, so the error does not show it
			faults = append(faults, fmt.Errorf("field Config.%s is %q: none of the %d columns, with commas between, in the first line has this name; give the names of columns, or numbers if there is no heading", c.field, c.name, len(p.values)))
		}
	}
	return p, errors.Join(faults...)
}

func (p *csvParser) parse(line []byte, e *entry) error {
	if p.heading {
		p.heading = false
		return errHeading
	}
	if err := p.split(line); err != nil {
		return err
	}
	return e.set(p.value(p.time), p.value(p.key), p.value(p.plan), p.value(p.cost), p.cost >= 0)
}

func (p *csvParser) value(at int) []byte {
	if at < 0 || at >= len(p.values) {
		return nil
	}
	return p.values[at]
}

// split sets values to those of a line.
func (p *csvParser) split(line []byte) error {
	p.values = p.values[:0]
	for {
		value, rest, more := bytes.Cut(line, []byte{','})
		if len(line) > 0 && line[0] == '"' {
			var ok bool
			if value, rest, ok = csvQuoted(line[1:]); !ok {
				return errQuote
			}
			more = rest != nil
		}
		p.values = append(p.values, value)
		if !more {
			return nil
		}
		line = rest
	}
}

// csvQuoted cuts off a value behind its opening quote. Rest is nil at the end of the line.
func csvQuoted(line []byte) (value, rest []byte, ok bool) {
	doubled := false
	for at := 0; at < len(line); at++ {
		if line[at] != '"' {
			continue
		}
		if at+1 < len(line) && line[at+1] == '"' {
			doubled = true
			at++
			continue
		}
		value, rest = line[:at], line[at+1:]
		if doubled {
			value = bytes.ReplaceAll(value, []byte(`""`), []byte(`"`))
		}
		switch {
		case len(rest) == 0:
			return value, nil, true
		case rest[0] == ',':
			return value, rest[1:], true
		}
		return nil, nil, false
	}
	return nil, nil, false
}
