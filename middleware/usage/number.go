package usage

// A number is a JSON number that comes in pieces. As a count of tokens it is rounded up and
// capped at maxCount.
type number struct {
	whole    int64
	fraction bool // after the point
	more     bool // the fraction is not zero
	ignored  bool // negative, or with an exponent
}

// add adds a byte and reports whether it can be part of a number.
func (n *number) add(c byte) bool {
	switch {
	case '0' <= c && c <= '9':
		if n.fraction {
			n.more = n.more || c != '0'
		} else {
			n.whole = min(n.whole*10+int64(c-'0'), maxCount)
		}
	case c == '.':
		n.fraction = true
	case c == '-' || c == '+' || c == 'e' || c == 'E':
		n.ignored = true
	default:
		return false
	}
	return true
}

// value returns the count, and reports whether there is one.
func (n *number) value() (int64, bool) {
	if n.more {
		return n.whole + 1, !n.ignored
	}
	return n.whole, !n.ignored
}
