package ratelimit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/internal/text"
)

// A Block stops a key: none of its calls is admitted, whatever it costs, and no store is
// asked. The zero Block lasts until an operator lifts it.
type Block struct {
	// Until is when the block ends by itself, by the clock of each node, rounded up to a
	// whole second. It is in the years 1970 to 9999. The zero time means that it does not end.
	Until time.Time
	// Reason is why, for operators; clients never see it. It is at most [MaxReason] printable
	// ASCII characters without " \ ; or , and without a space at either end.
	Reason string
}

// MaxReason is the length of the longest Block.Reason, in bytes.
const MaxReason = 128

// Blocked stops a key: every call is denied and no store is asked. For a block with an end or
// a reason there is [NewBlocked].
var Blocked = blocked(Block{}, nil)

// ErrBlocked is in the errors of [Limiter.Wait], WaitN and WaitInParts for a key that is
// blocked: they do not wait for the end of a block.
var ErrBlocked = errors.New("ratelimit: the key is blocked")

// NewBlocked returns the policy of a key that is blocked by b and, from b.Until on, held to
// then, which may be [Unlimited], or blocked, too; at most 8 blocks stand behind one another. If there
// are more, those are left out that end no later than one in front of them, and so never deny. For a
// block without an end, then may be nil. All nodes whose clocks agree end the block at the same
// time. The error joins a [LimitError] for each fault.
func NewBlocked(b Block, then *Policy) (*Policy, error) {
	faults := b.faults()
	if then.blocks() >= mostBlocks {
		then = then.behind(b)
	}
	switch {
	case then == nil && !b.Until.IsZero():
		faults = append(faults, &LimitError{Field: "then", Value: "nil", Want: `must be the policy of the key after the block ends, as in "blocked;until=2026-12-04T18:00:00Z, 5/s"`})
	case then.blocks() >= mostBlocks:
		faults = append(faults, errTooManyBlocks)
	case then != nil && then.check() != nil:
		faults = append(faults, then.check())
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return blocked(b, then), nil
}

// faults returns a [LimitError] for each fault of b.
func (b Block) faults() (faults []error) {
	if b.Reason != "" && !validReason(b.Reason) {
		faults = append(faults, &LimitError{Field: "Reason", Value: b.Reason,
			Want: fmt.Sprintf(`must be at most %d printable ASCII characters without " \ ; or , and without a space at either end, such as "chargeback 4711"`, MaxReason)})
	}
	if s := b.seconds(); !b.Until.IsZero() && (s <= 0 || s > text.MaxDate) {
		faults = append(faults, &LimitError{Field: "Until", Value: b.Until, Want: "must be after 1970 and before the year 10000; the zero time means that the block does not end"})
	}
	return faults
}

func validReason(s string) bool {
	return len(s) <= MaxReason && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r > '~' || strings.ContainsRune(`"\;,`, r)
	})
}

// seconds returns Until in seconds since 1970, rounded up.
func (b Block) seconds() int64 {
	s := b.Until.Unix()
	if b.Until.Nanosecond() > 0 {
		s++
	}
	return s
}

// String returns the text that [ParseBlock] reads back as the same block.
func (b Block) String() string {
	s := blockedText
	if !b.Until.IsZero() {
		s += ";until=" + text.FormatDate(b.seconds())
	}
	if b.Reason != "" {
		s += ";reason=" + b.Reason
	}
	return s
}

// MarshalText implements [encoding.TextMarshaler] with the form of [Block.String]. It returns
// an error for a block that is not valid.
func (b Block) MarshalText() ([]byte, error) {
	if err := errors.Join(b.faults()...); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseBlock]. On an error b is left
// as it was.
func (b *Block) UnmarshalText(from []byte) error {
	parsed, err := ParseBlock(string(from))
	if err == nil {
		*b = parsed
	}
	return err
}

// A blocking is the block of a policy.
type blocking struct {
	Block
	end  time.Time // the zero time: none
	stop *Policy   // of the results: it has no limits
	then *Policy   // from the end on; nil if there is none
}

// blocked returns then behind b. Its limits, its home and all else are those of then, so
// that it is checked and derived from as then is.
func blocked(b Block, then *Policy) *Policy {
	p := new(Policy)
	if then != nil {
		if then.home != "" {
			return blocked(b, then.In("")).In(then.home)
		}
		*p = *then
	}
	made := &blocking{Block: b, then: then}
	if !b.Until.IsZero() {
		made.end = time.Unix(b.seconds(), 0)
		made.Until = made.end.UTC()
	}
	made.stop = &Policy{block: made}
	p.block = made
	return p
}

// wait returns how long the block lasts: [gcra.Never] if it has no end, 0 if it is over.
func (b *blocking) wait() time.Duration {
	if b.end.IsZero() {
		return gcra.Never
	}
	wait := time.Until(b.end)
	switch {
	case wait <= 0:
		return 0
	case wait > gcra.Never-time.Microsecond: // 292 years
		return gcra.Never
	}
	return (wait + time.Microsecond - 1).Truncate(time.Microsecond)
}

// Block returns the block of p that denies calls now, and reports whether there is one: the first
// that has not ended.
func (p *Policy) Block() (b Block, ok bool) {
	for ; p != nil && p.block != nil; p = p.block.then {
		if p.block.wait() > 0 {
			return p.block.Block, true
		}
	}
	return Block{}, false
}

// mostBlocks is how many blocks may stand behind one another.
const mostBlocks = 8

// errTooManyBlocks is the fault of a policy with more.
var errTooManyBlocks = &LimitError{Field: "then", Value: "too many blocks", Want: fmt.Sprintf("must have at most %d blocks, one behind the other", mostBlocks)}

// blocks returns how many blocks stand behind one another in p.
func (p *Policy) blocks() (n int) {
	for ; p != nil && p.block != nil; p = p.block.then {
		n++
	}
	return n
}

// behind returns p without the blocks that never deny behind b.
func (p *Policy) behind(b Block) *Policy {
	switch {
	case p == nil || p.block == nil:
		return p
	case p.block.outlasts(b):
		return blocked(p.block.Block, p.block.then.behind(p.block.Block))
	}
	return p.block.then.behind(b)
}

// outlasts reports whether b ends later than other.
func (b Block) outlasts(other Block) bool {
	return !other.Until.IsZero() && (b.Until.IsZero() || b.seconds() > other.seconds())
}

// present returns what p is now: p itself, unless it has a block that has ended. Of one that
// holds, it is a policy without limits.
func (p *Policy) present() *Policy {
	switch {
	case p.block == nil:
		return p
	case p.block.wait() == 0:
		return p.block.then.present()
	}
	return p.block.stop
}

// exempt reports whether p has no limits to ask a store about.
func (p *Policy) exempt() bool { return len(p.limits) == 0 }

// stop makes r the answer to a call of a key that is blocked.
func (r *Result) stop(b *blocking, wait time.Duration, a *ask) {
	*r = Result{denied: true, policy: b.stop, wait: wait, cost: a.cost}
	if a.least > 0 {
		r.cost = a.least
	}
}

// denies is the error of a call that waits behind b.
func (b Block) denies() error {
	if b.Until.IsZero() {
		return ErrBlocked
	}
	return fmt.Errorf("%w until %s", ErrBlocked, text.FormatDate(b.seconds()))
}
