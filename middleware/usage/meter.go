package usage

import (
	"net/http"
	"strings"
)

// A meter reads the usage from the body of one response, which comes in pieces.
type meter struct {
	stream stream // its scanner reads a single document, too
	format format
	bom    int // bytes of a byte order mark so far; 3 after it
}

// A format is how a body is read.
type format uint8

const (
	unread format = iota
	single        // a JSON document
	events        // server-sent events
)

// bom is the byte order mark of UTF-8, which may begin a body.
const bom = "\xef\xbb\xbf"

// start begins a body with this header.
func (m *meter) start(h http.Header) {
	m.format = formatOf(h)
	m.stream.scanner.event = m.format == events
	m.stream.scanner.reset()
}

// feed reads the next piece of the body.
func (m *meter) feed(p []byte) {
	if m.format == unread {
		return
	}
	for m.bom < len(bom) && len(p) > 0 {
		if p[0] != bom[m.bom] {
			m.bom = len(bom)
			break
		}
		m.bom++
		p = p[1:]
	}
	if m.format == events {
		m.stream.feed(p)
	} else {
		m.stream.scanner.feed(p)
	}
}

// usage returns what was read so far, and reports whether that is complete. whole is set if
// nothing follows, since the API itself has ended the body.
func (m *meter) usage(whole bool) (u Usage, ok bool) {
	s := &m.stream.scanner
	// A document that ends in the middle is never complete.
	return s.counts.usage(), s.final && (s.over || whole && m.format == events)
}

// formatOf returns how a body with the header h can be read. An encoding other than identity,
// such as gzip, hides the text.
func formatOf(h http.Header) format {
	for _, encoding := range h["Content-Encoding"] {
		if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return unread
		}
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.TrimSpace(media)
	switch {
	case strings.EqualFold(media, "text/event-stream"):
		return events
	case strings.EqualFold(media, "application/json"), strings.EqualFold(media[max(len(media)-len("+json"), 0):], "+json"):
		return single
	}
	return unread
}
