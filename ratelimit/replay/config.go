package replay

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A Format is how the lines of a log are written.
type Format string

const (
	// Common is the Common Log Format of NCSA httpd, and anything that begins alike: fields
	// with spaces between, in brackets or quotes if they have spaces themselves. The Combined
	// format is one.
	//
	//	192.0.2.1 - alice [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326
	//
	// A field is host, ident, user, time, request, status, bytes, referer, agent, or its number
	// from 1, such as "10" for what a server was set up to add behind the agent.
	Common Format = "common"
	// JSON is a JSON object in each line. A field is its name, or the names on the way to it with
	// dots between, such as "request.remote_ip". The first element stands for an array.
	JSON Format = "json"
	// CSV is values with commas between (RFC 4180). No value has a line break. A field is the
	// name of its column in the first line of each file or, if all fields of the Config are
	// numbers, its number from 1; then there is no such line.
	CSV Format = "csv"
)

// Config configures [NewReader]. The zero value is ready to use: it limits client addresses.
type Config struct {
	// Format is the format of all files. "" means [JSON] for a file that begins with {, perhaps
	// behind spaces, and [Common] for any other.
	Format Format
	// Key is the field that names the key. "" means "host" with [Common], otherwise "key". A line
	// whose field is missing, empty or "-" has no key, and is left out.
	Key string
	// BucketKey returns the key that a limiter gets for the text of that field: behind package
	// middleware, middleware.BucketKey does, and middleware.AddressKey for addresses. It is
	// called once for each text. nil takes the text as it is.
	BucketKey func(text string) string
	// Time is the field of the time; "" means "time". A time is written as in [Common], as in RFC
	// 3339, where a space may stand for the T and UTC is meant without a zone, or as a number
	// since 1970: of seconds below 10^11, of milliseconds below 10^14, of microseconds below
	// 10^17, or else of nanoseconds.
	Time string
	// Cost is the field of the cost in tokens, a whole number from 0 to 2^31-1; "-" is 0. Without
	// it each request costs 1.
	Cost string
	// Plan is the field that names the plan of the key. The last line of a key counts; a key for
	// which the field is always missing, empty or "-" has no plan.
	Plan string
	// Table names the plan of each key, in place of Plan.
	Table *plans.Table
	// Spread spreads requests of one key in the same whole second evenly over that second.
	Spread bool
}

// check returns what is wrong with c.
func (c Config) check() (faults []error) {
	switch c.Format {
	case "", Common, JSON, CSV:
	default:
		faults = append(faults, fmt.Errorf("field Config.Format is %q: must be %q, %q, %q or empty", c.Format, Common, JSON, CSV))
	}
	if c.Plan != "" && c.Table != nil {
		faults = append(faults, errors.New("fields Config.Plan and Config.Table are both set: one of them must name the plan of a key"))
	}
	if c.Table != nil {
		if err := c.Table.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("field Config.Table: %w", err))
		}
	}
	if c.Format == Common {
		if _, err := newCommonParser(c.fields(Common)); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// fields are the names of the fields of a line; cost and plan may be "".
type fields struct{ key, time, cost, plan string }

// fields returns the fields with their defaults for a format.
func (c Config) fields(f Format) fields {
	names := fields{c.Key, c.Time, c.Cost, c.Plan}
	if names.key == "" {
		names.key = "key"
		if f == Common {
			names.key = "host"
		}
	}
	if names.time == "" {
		names.time = "time"
	}
	return names
}

// format returns the format of a file that begins with a line.
func (c Config) format(first []byte) Format {
	switch {
	case c.Format != "":
		return c.Format
	case bytes.HasPrefix(bytes.TrimLeft(first, " \t"), []byte{'{'}):
		return JSON
	}
	return Common
}

// parser returns the parser of a file that begins with a line.
func (c Config) parser(format Format, first []byte) (parser, error) {
	names := c.fields(format)
	switch format {
	case JSON:
		return newJSONParser(names), nil
	case CSV:
		return newCSVParser(names, first)
	default:
		p, err := newCommonParser(names)
		if err != nil && c.Format == "" {
			err = fmt.Errorf("%w; the first line does not begin with {, so Config.Format must name the format if it is another", err)
		}
		return p, err
	}
}
