package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A Reader reads access logs. Make one with [NewReader], call Add for each file, and then Log. It
// must not be used from several goroutines at once.
type Reader struct {
	config  Config
	summary Summary
	keys    numbering
	planOf  []uint32          // by the number of the key
	plans   map[string]uint32 // numbers from 0, which is "": no plan
	events  [][]event         // in blocks

	// With Config.BucketKey: the texts of the field, and the number of the key of each.
	texts numbering
	keyOf []uint32
}

// An event is one request.
type event struct {
	at   int64
	key  uint32
	cost uint32
}

// blockLength is the number of events in a block, of 1 MiB.
const blockLength = 1 << 16

// NewReader returns a reader, or an error that joins all faults of c.
func NewReader(c Config) (*Reader, error) {
	if faults := c.check(); len(faults) > 0 {
		return nil, fmt.Errorf("replay: %w", errors.Join(faults...))
	}
	return &Reader{config: c, plans: map[string]uint32{"": 0}}, nil
}

// Add reads a file up to its end, in another goroutine that ends before Add does. It unpacks what
// gzip has packed. The name appears in [File] and [Broken]. Empty lines do not count.
//
// Add returns the error of r, an error for a file that is in UTF-16 or packed by another program, and
// one for a CSV file without the columns that the Config names. What it has read until then stays. A
// line that cannot be read is no error, and neither is an archive that is damaged or cut off: the
// whole lines up to there count, and [Summary] reports both.
func (r *Reader) Add(name string, file io.Reader) error {
	r.summary.Files = append(r.summary.Files, File{Name: name})
	in, err := newLines(file)
	if err == nil {
		err = r.add(in)
	}
	if in.damage != nil {
		r.summary.file().Damage = in.damage.Error()
	}
	if err != nil {
		return fmt.Errorf("replay: %s: %w", name, err)
	}
	return nil
}

// add counts the requests of lines, which a goroutine parses.
func (r *Reader) add(in *lines) error {
	batches, ended := make(chan *batch, 2), make(chan error, 1)
	go func() {
		defer close(batches)
		ended <- r.parse(in, batches)
	}()
	defer func() { // if a BucketKey panics
		for range batches {
		}
	}()
	for b := range batches {
		r.take(b)
	}
	return <-ended
}

// parse sends the entries of all lines. It uses nothing of r that take uses.
func (r *Reader) parse(in *lines, to chan<- *batch) error {
	var p parser
	b := newBatch()
	defer func() { to <- b }()
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, errLong):
			return err
		case err == nil && len(line) == 0:
			continue
		case err == nil && p == nil:
			format := r.config.format(line)
			if p, err = r.config.parser(format, line); err != nil {
				return err
			}
			r.summary.file().Format = format
		}
		var e entry
		if err == nil {
			err = p.parse(line, &e)
		}
		if r.summary.line(in.number, line, e, err); err != nil || e.key == nil {
			continue
		}
		if b.add(e); b.full() {
			to <- b
			b = newBatch()
		}
	}
}

// take counts the requests of a batch.
func (r *Reader) take(b *batch) {
	first := &r.keys
	if r.config.BucketKey != nil {
		first = &r.texts
	}
	for i, hash := range b.look(first) {
		e := &b.items[i]
		key := r.key(b.key(e), hash)
		if e.plan < e.end {
			r.planOf[key] = r.plan(string(b.texts[e.plan:e.end]))
		}
		n := len(r.events)
		if n == 0 || len(r.events[n-1]) == blockLength {
			r.events = append(r.events, make([]event, 0, blockLength))
			n++
		}
		r.events[n-1] = append(r.events[n-1], event{e.at, key, e.cost})
	}
}

// key returns the number of the key that a text means.
func (r *Reader) key(text []byte, hash uint32) uint32 {
	if r.config.BucketKey == nil {
		return r.bucketKey(text, hash)
	}
	n, fresh := r.texts.number(text, hash)
	if fresh {
		key := []byte(r.config.BucketKey(string(text)))
		r.keyOf = append(r.keyOf, r.bucketKey(key, r.keys.hash(key)))
	}
	return r.keyOf[n]
}

// bucketKey returns the number of a key.
func (r *Reader) bucketKey(key []byte, hash uint32) uint32 {
	n, fresh := r.keys.number(key, hash)
	if fresh {
		r.planOf = append(r.planOf, r.planInTable(string(key)))
	}
	return n
}

// ownLimits stands for the plan of a key that the table gives limits of its own.
const ownLimits = ^uint32(0)

func (r *Reader) planInTable(key string) uint32 {
	table := r.config.Table
	if table == nil {
		return 0
	}
	if plan, ok := table.PlanOf(key); ok {
		return r.plan(plan)
	}
	if policy, err := table.PolicyFor(context.Background(), key); err != nil || policy != table.Default() {
		return ownLimits
	}
	return 0
}

// plan returns the number of a plan.
func (r *Reader) plan(name string) uint32 {
	n, ok := r.plans[name]
	if !ok {
		n = uint32(len(r.plans))
		r.plans[name] = n
	}
	return n
}

// Log ends the reading and returns what was read. It returns an error if no line has a key and a
// time. The Reader must not be used any more.
func (r *Reader) Log() (*Log, error) {
	if r.keys.len() == 0 {
		return nil, fmt.Errorf("replay: %w", r.nothing())
	}
	l := newLog(r)
	*r = Reader{}
	return l, nil
}

// nothing returns why there are no requests.
func (r *Reader) nothing() error {
	s := &r.summary
	format := cmp.Or(r.config.Format, Common) // of a line that is too long to say more
	for _, f := range slices.Backward(s.Files) {
		format = cmp.Or(f.Format, format)
	}
	names := r.config.fields(format)
	switch {
	case s.Keyless > 0:
		return fmt.Errorf("none of the %d lines has a key: field Config.Key is %q, and that is missing, empty or \"-\" in each", s.Lines, names.key)
	case len(s.Broken) > 0:
		return fmt.Errorf("none of the %d lines could be read as %s with the time in %q, as Config.Format and Config.Time say: %v", s.BrokenLines, format, names.time, s.Broken[0])
	case len(s.Files) == 0:
		return errors.New("there are no lines: no file was added")
	}
	for _, f := range s.Files {
		if f.Damage != "" {
			return fmt.Errorf("there are no lines: the archive %s is damaged in its first line: %s", f.Name, f.Damage)
		}
	}
	if len(s.Files) > 1 {
		return fmt.Errorf("there are no lines: all %d files are empty, the first is %s", len(s.Files), s.Files[0].Name)
	}
	return fmt.Errorf("there are no lines: %s is empty", s.Files[0].Name)
}

// tableConfig returns the content of the table, or of none.
func (c Config) tableConfig() plans.TableConfig {
	if c.Table == nil {
		return plans.TableConfig{}
	}
	return c.Table.Config()
}
