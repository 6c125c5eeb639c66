package file

import (
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
)

// readBlocked reads the block of each key. A key that is blocked may be elsewhere, too.
func (b *builder) readBlocked(entries []entry) {
	b.config.Blocked = make(map[string]ratelimit.Block, len(entries))
	lines := make(map[string]int32, len(entries))
	for _, e := range entries {
		key, ok := b.key("blocked", e)
		if !ok || e.value.kind == kindRejected {
			continue
		}
		if line, twice := lines[key]; twice {
			b.add(e.at, keyPlace("blocked", e.key), "the key a second time", fmt.Sprintf("must be there once under blocked: it is on line %d as well", line))
			continue
		}
		lines[key] = e.at.Line
		if e.value.kind != kindText {
			b.add(e.value.at, keyPlace("blocked", e.key), e.value.kind.String(), wantBlock)
			continue
		}
		err := checkLimitText(e.value.text)
		if err == nil {
			b.config.Blocked[key], err = ratelimit.ParseBlock(e.value.text)
		}
		for _, fault := range ratelimit.Faults(err) { // without the text: key and block may have been swapped
			b.add(e.value.at, keyPlace("blocked", e.key), "what cannot be a block", fault.Want)
		}
	}
}

const wantBlock = "must be blocked, with an end and a reason if need be, as in blocked;until=2026-12-04T18:00:00Z;reason=chargeback"
