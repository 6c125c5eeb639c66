package replay

import (
	"errors"
	"fmt"
	"time"
)

// A Summary is what was read of a log.
type Summary struct {
	Lines       int64 // that could be read
	Keyless     int64 // those of Lines without a key, which are left out
	BrokenLines int64 // that could not be read
	Broken      []Broken
	Requests    int64 // Lines - Keyless
	Keys        int
	Files       []File // in the order in which they were added
	// First and Last are the times of the first request and of the last, in UTC.
	First, Last time.Time
}

// A File is what was read of one file.
type File struct {
	Name        string // as Add was given it
	Format      Format // in which its lines were read; "" if there were none
	Lines       int64  // that could be read
	BrokenLines int64  // that could not be read
	// Damage is why an archive ended early, such as "unexpected EOF"; "" if it did not.
	Damage string
}

// shownBroken is how many broken lines a summary describes.
const shownBroken = 5

// Broken is a line that could not be read. A summary has the first five.
type Broken struct {
	File  string // as Add was given it
	Line  int64  // its number in the file, from 1
	Fault string // what is wrong, such as "has no field for the time"
	// Shape is how the line begins, with an a for each letter and a 9 for each digit, so that
	// it shows no secret.
	Shape string
}

// String describes b in one line.
func (b Broken) String() string {
	text := fmt.Sprintf("%s:%d: the line %s", b.File, b.Line, b.Fault)
	if b.Shape != "" {
		text += ": " + b.Shape
	}
	return text
}

// file returns the one that is being read.
func (s *Summary) file() *File { return &s.Files[len(s.Files)-1] }

// line counts a line of that file that was read as an entry, or why it was not.
func (s *Summary) line(number int64, text []byte, e entry, fault error) {
	file := s.file()
	switch {
	case fault == nil:
		s.Lines++
		file.Lines++
		if e.key == nil {
			s.Keyless++
		}
	case !errors.Is(fault, errHeading):
		s.BrokenLines++
		file.BrokenLines++
		if len(s.Broken) < shownBroken {
			s.Broken = append(s.Broken, Broken{file.Name, number, fault.Error(), shape(text)})
		}
	}
}

// shape returns the beginning of a line without what it says.
func shape(line []byte) string {
	const most = 80
	shown := line[:min(len(line), most)]
	b := make([]byte, 0, most+3)
	for _, c := range shown {
		switch {
		case c >= '0' && c <= '9':
			c = '9'
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			c = 'a'
		case c < ' ' || c > '~':
			c = '?'
		}
		b = append(b, c)
	}
	if len(shown) < len(line) {
		b = append(b, "…"...)
	}
	return string(b)
}
