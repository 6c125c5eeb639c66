package ratelimit

import (
	"fmt"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/text"
)

// blockedText begins the text form of a [Block].
const blockedText = "blocked"

// isBlock reports whether a part of a policy's text is meant as a block.
func isBlock(s string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(s), ";")
	return word == blockedText
}

// ParseBlock reads the text form of a block: blocked, and optionally ;until=DATE, a day (UTC)
// or an RFC 3339 time in whole seconds at which it ends, and ;reason=TEXT:
//
//	blocked    blocked;until=2026-12-04T18:00:00Z    blocked;reason=chargeback 4711
//
// The error is a [LimitError].
func ParseBlock(s string) (Block, error) {
	fail := func(want string) (Block, error) {
		return Block{}, &LimitError{Field: "text", Value: s, Want: want}
	}
	parts := strings.Split(strings.TrimSpace(s), ";")
	if parts[0] != blockedText {
		return fail(`must be "blocked", optionally with an end and a reason, as in "blocked;until=2026-12-04T18:00:00Z;reason=chargeback"`)
	}
	var b Block
	seen := map[string]bool{}
	for i, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case seen[name]:
			return fail(fmt.Sprintf("must not give %s twice", name))
		case name == "until":
			at, err := text.ParseDate(value)
			if err != nil {
				return fail(`must have a day or an RFC 3339 time in whole seconds as until, such as "blocked;until=2026-12-04T18:00:00Z"`)
			}
			b.Until = time.Unix(at, 0).UTC()
		case name == "reason":
			if b.Reason = value; !validReason(value) || value == "" {
				return fail(fmt.Sprintf(`must have a reason of 1 to %d printable ASCII characters without " \ ; or , behind reason=, such as "blocked;reason=chargeback 4711"`, MaxReason))
			}
		default: // by its number: the text may be a key in a wrong place, which only Value may hold
			return fail(fmt.Sprintf(`may be followed only by ;until=DATE and ;reason=TEXT, and its part %d is neither`, i+2))
		}
		seen[name] = true
	}
	return b, nil
}

// parseBlocked reads a policy that begins with a block. more reports whether there is a comma
// behind that.
func parseBlocked(head, rest string, more bool) (*Policy, error) {
	for ahead, i := rest, 1; ; i++ { // before it goes into each of them
		next, behind, _ := strings.Cut(ahead, ",")
		if !isBlock(next) {
			break
		}
		if i == mostBlocks {
			return nil, errTooManyBlocks
		}
		ahead = behind
	}
	b, err := ParseBlock(head)
	if err != nil {
		return nil, err
	}
	var then *Policy
	if more {
		if then, err = ParsePolicy(rest); err != nil {
			return nil, err
		}
	}
	if then == nil && !b.Until.IsZero() {
		return nil, &LimitError{Field: "text", Value: head, Want: `must be followed by the limits from the end of the block on, as in "blocked;until=2026-12-04T18:00:00Z, 5/s"`}
	}
	if then == nil && b.Reason == "" {
		return Blocked, nil
	}
	return NewBlocked(b, then)
}
