package table

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A document is one version of the table: what operators edit, and the overrides. Its text is
//
//	keyrate table 1
//	[{"key":"sha256:…","factor":10,"until":"2026-12-04T18:00:00Z"}]
//	{ "default": … }
//
// with the table as [plans.Snapshot.WriteTo] writes it: one entry on a line, and hashes for keys.
// Equal documents have equal texts. Redis and the file have it packed: see pack.
type document struct {
	overrides []plans.Override
	base      plans.Snapshot
}

const textBegins = "keyrate table 1\n"

// maxText is in bytes: a million keys take about 90 MB.
const maxText = 128 << 20

var errForeign = errors.New("table: the value in Redis is not a table that this version of keyrate can read; the table that was in force stays")

// text returns the text of a document, or an error if an override has no text.
func (d document) text() (string, error) {
	var b strings.Builder
	b.WriteString(textBegins)
	overrides, err := json.Marshal(d.overrides)
	if err != nil {
		return "", errors.Join(errUnreadable, err)
	}
	if len(d.overrides) == 0 {
		overrides = []byte("[]")
	}
	b.Write(overrides)
	b.WriteByte('\n')
	_, _ = d.base.WriteTo(&b) // a builder and the content of a table cause no error
	return b.String(), nil
}

// errUnreadable means that a change would have a text that no node can read.
var errUnreadable = errors.New("table: no node could read the changed table, so it was not written; the table that was in force stays")

// parse reads a text. The keys in the document are hashes.
func parse(text string) (d document, err error) {
	rest, ok := strings.CutPrefix(text, textBegins)
	overrides, table, cut := strings.Cut(rest, "\n")
	if !ok || !cut {
		return d, errForeign
	}
	if err := json.Unmarshal([]byte(overrides), &d.overrides); err != nil {
		return d, errForeign
	}
	config, err := plans.ReadTableConfig(strings.NewReader(table))
	if err != nil {
		return d, errors.Join(errForeign, err)
	}
	d.base, err = snapshotOf(config)
	return d, err
}

// snapshotOf returns the snapshot of a table that is not in force, with hashes for keys. The error
// joins the faults of c.
func snapshotOf(c plans.TableConfig) (plans.Snapshot, error) {
	t, err := plans.NewTable(c)
	if err != nil {
		return plans.Snapshot{}, err
	}
	return t.Snapshot().Hashed(), nil
}

// sumOf returns the SHA-256 of a text in hexadecimal digits.
func sumOf(text string) string {
	h := sha256.New()
	_, _ = io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

// A copied is a version as a node keeps it.
type copied struct {
	document
	version int64
	sum     string // of the text
	body    []byte // the text, packed
}

// firstVersion is that of the table of Config.Initial: any that was changed wins over it.
const firstVersion = 1

// openBody makes a version of its body, and checks its sum.
func openBody(version int64, sum string, body []byte) (*copied, error) {
	text, err := unpack(body)
	if err != nil {
		return nil, err
	}
	if sumOf(text) != sum {
		return nil, errSum
	}
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &copied{document: d, version: version, sum: sum, body: body}, nil
}

// errSum means that a body is not the one of its head: it was replaced while it was read, or
// somebody else wrote it.
var errSum = errors.Join(errForeign, errors.New("table: its SHA-256 is not the one that was written beside it"))
