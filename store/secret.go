package store

import "fmt"

// hidden stands for a key in text, which may be a secret.
func hidden(key string) string {
	if key == "" {
		return ""
	}
	return "(hidden)"
}

// Format prints r without its key and home: they may be secrets.
func (r Request) Format(f fmt.State, verb rune) {
	type request Request
	r.Home, r.Key = hidden(r.Home), hidden(r.Key)
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), request(r))
}

// Format prints s without its key and home: they may be secrets.
func (s Settlement) Format(f fmt.State, verb rune) {
	type settlement Settlement
	s.Home, s.Key = hidden(s.Home), hidden(s.Key)
	_, _ = fmt.Fprintf(f, fmt.FormatString(f, verb), settlement(s))
}
