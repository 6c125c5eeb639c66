package table

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

const (
	changeTime  = 10 * time.Second // for a change without a deadline
	mostWho     = 200              // bytes
	mostChanged = 20               // attempts, when others change the table meanwhile
)

// An edit makes a document of another one, and says what an operator should know of it beside the
// differences.
type edit func(document) (next document, what []string, err error)

// Replace puts c in force on all nodes, unless the table is no longer that of s: then it returns
// [plans.ErrChanged]. The audit trail has who, which must hold no secret. Replace returns a
// snapshot of c. Other errors join the faults of c, or are those of Redis, as [*store.Error]s;
// after one of these, c may still come into force. Without a deadline it takes 10 s at most.
func (t *Table) Replace(ctx context.Context, who string, s plans.Snapshot, c plans.TableConfig) (plans.Snapshot, error) {
	next, err := snapshotOf(c)
	if err != nil {
		return plans.Snapshot{}, err
	}
	err = t.change(ctx, who, false, func(d document) (document, []string, error) {
		if d.base != s && d.base.Sum() != s.Sum() {
			return d, nil, plans.ErrChanged
		}
		return document{d.overrides, next}, nil, nil
	})
	return next, err
}

// Put puts c in force on all nodes, whatever was, and keeps the blocks that have not ended, unless
// c has one of the key that lasts as long: a file lifts and shortens no block. It is as
// [Table.Replace] otherwise.
func (t *Table) Put(ctx context.Context, who string, c plans.TableConfig) error {
	next, err := snapshotOf(c)
	if err != nil {
		return err
	}
	return t.change(ctx, who, false, func(d document) (document, []string, error) {
		kept, err := withBlocks(next, d.base)
		return document{d.overrides, kept}, nil, err
	})
}

// withBlocks returns next with the blocks of old that have not ended. A block that next has of the
// same key stays if it lasts as long.
func withBlocks(next, old plans.Snapshot) (plans.Snapshot, error) {
	if old.Blocked() == 0 {
		return next, nil
	}
	c, added := next.Config(), false
	for key, b := range old.Config().Blocked {
		if !b.Until.IsZero() && !time.Now().Before(b.Until) {
			continue
		}
		if other, ok := c.Blocked[key]; ok && (other.Until.IsZero() || !b.Until.IsZero() && !other.Until.Before(b.Until)) {
			continue
		}
		if c.Blocked == nil {
			c.Blocked = make(map[string]ratelimit.Block)
		}
		c.Blocked[key], added = b, true
	}
	if !added {
		return next, nil
	}
	return snapshotOf(c)
}

// Change makes edit change a copy of the table, in which hashes stand for keys, and puts the result
// in force on all nodes. If somebody else changes the table meanwhile, edit is called again. An
// error of edit is returned. Otherwise it is as [Table.Replace].
func (t *Table) Change(ctx context.Context, who string, edit func(*plans.TableConfig) error) error {
	return t.change(ctx, who, false, func(d document) (document, []string, error) {
		c := d.base.Config()
		if err := edit(&c); err != nil {
			return d, nil, err
		}
		base, err := snapshotOf(c)
		return document{d.overrides, base}, nil, err
	})
}

// Override holds a key or a plan to other limits until o.Until, in place of another override of
// it. It is as [Table.Replace] otherwise; the audit trail shows its beginning and its end.
func (t *Table) Override(ctx context.Context, who string, o plans.Override) error {
	return t.change(ctx, who, false, func(d document) (document, []string, error) {
		next, _, _ := d.without(o.Same)
		others, _ := t.effective(next)
		o, err := o.Normal(t.now(), others)
		if err != nil {
			return d, nil, err
		}
		next.overrides = append(next.overrides, o)
		return next, []string{o.String()}, nil
	})
}

// EndOverride ends the override of a key or its hash, or of a plan, before its time. Without one
// it does nothing.
func (t *Table) EndOverride(ctx context.Context, who, key, plan string) error {
	of := plans.Override{Key: key, Plan: plan}
	return t.change(ctx, who, false, func(d document) (document, []string, error) {
		return d.without(of.Same)
	})
}

// without returns a document without some overrides, and lines about those for the trail.
func (d document) without(ends func(plans.Override) bool) (document, []string, error) {
	next := document{base: d.base}
	var what []string
	for _, o := range d.overrides {
		if ends(o) {
			what = append(what, ended(o))
		} else {
			next.overrides = append(next.overrides, o)
		}
	}
	return next, what, nil
}

// RollBack puts a version of [Table.Changes] in force again, or the one before the oldest, with
// those of its overrides that have not ended. It keeps the blocks that are in force, as [Table.Put]
// does: who wants a key back unblocks it. That is a change, too, and the only one that also
// replaces a version in Redis that this node cannot read. It returns [plans.ErrNoVersion] if the
// version is not kept.
func (t *Table) RollBack(ctx context.Context, who string, version int64) error {
	return t.change(ctx, who, true, func(d document) (document, []string, error) {
		own := t.current()
		text, err := unpack(own.body)
		if err != nil {
			return d, nil, err
		}
		t.mu.Lock()
		all := t.trail
		t.mu.Unlock()
		old, err := all.textOf(version, own.version, text)
		if err != nil {
			return d, nil, err
		}
		next, err := parse(old)
		if err != nil {
			return d, nil, err
		}
		next.overrides, _ = active(next.overrides, t.now())
		next.base, err = withBlocks(next.base, d.base)
		return next, append([]string{fmt.Sprintf("rolled back to %d", version)}, d.overridden(next)...), err
	})
}

// overridden returns lines for the trail about the overrides that next has otherwise than d.
func (d document) overridden(next document) (what []string) {
	for _, o := range d.overrides {
		if !slices.ContainsFunc(next.overrides, o.Same) {
			what = append(what, ended(o))
		}
	}
	for _, o := range next.overrides {
		if !slices.ContainsFunc(d.overrides, func(other plans.Override) bool { return other.Same(o) && other.String() == o.String() }) {
			what = append(what, o.String())
		}
	}
	return what
}

// ended returns a line for the trail about an override that is there no more.
func ended(o plans.Override) string { return fmt.Sprintf("override of %s ended", o.Subject()) }

// change makes a change of the version of this node, and retries while others change the table. With
// repair it also replaces a version that this node cannot read.
func (t *Table) change(ctx context.Context, who string, repair bool, edit edit) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, changeTime)
		defer cancel()
	}
	if len(who) > mostWho {
		who = who[:mostWho]
	}
	who = strings.ToValidUTF8(who, "")
	for range mostChanged {
		wait, again, err := t.tryChange(ctx, who, repair, edit)
		if err != nil || !again {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return plans.ErrChanged
}

// tryChange makes one attempt. If again is true there must be another one, after a wait.
func (t *Table) tryChange(ctx context.Context, who string, repair bool, edit edit) (wait time.Duration, again bool, err error) {
	if err := t.take(ctx); err != nil {
		return 0, false, err
	}
	defer t.give()
	own := t.current()
	d, next, n, err := t.draft(own, who, edit)
	if err != nil {
		return 0, false, err
	}
	if t.seen.ahead != 0 {
		if !repair {
			if err := t.latest(ctx, own.version); err != nil {
				if _, followed := t.followAgain(ctx, false); followed == nil && t.seen.ahead == 0 { // another node has replaced it
					return 0, true, nil
				}
				return 0, false, err
			}
		}
		d.replaces = t.seen.ahead
	} else if repair && t.seen.bad != "" {
		d.replaces, d.exceeds = t.seen.badVersion, t.seen.badVersion
	} else if d.sum == own.sum { // but Redis may have another version, on which the edit does something
		again, err := t.followAgain(ctx, repair)
		return 0, again && (t.current() != own || t.seen.replaceable(true)), err
	}
	if err := t.fits(next); err != nil {
		return 0, false, err
	}
	outcome, value, err := t.server.commit(ctx, d)
	if err != nil { // it may have been executed
		if t.follow(ctx) == nil && t.made(n.ID) {
			return 0, false, nil
		}
		return 0, false, err
	}
	switch outcome {
	case "done":
		n.version, n.previous = value, own.version
		t.seen.bad, t.seen.ahead = "", 0
		return 0, false, t.changed(&copied{document: next, version: n.version, sum: d.sum, body: d.body}, n)
	case "settling":
		return time.Duration(value)*time.Microsecond + time.Millisecond, true, nil
	case "changed", "unstaged":
		again, err := t.followAgain(ctx, repair)
		return 0, again, err
	}
	return 0, false, errReply
}

// followAgain follows Redis for another attempt at a change. A version that the change replaces is no
// error, although this node cannot follow it.
func (t *Table) followAgain(ctx context.Context, repair bool) (again bool, err error) {
	if err = t.follow(ctx); t.seen.replaceable(repair) {
		err = nil
	}
	return err == nil, err
}

// latest returns an error if a version of the trail in Redis is newer than own: a change of own would
// undo it.
func (t *Table) latest(ctx context.Context, own int64) error {
	all, err := t.server.versions(ctx)
	if err != nil {
		return err
	}
	possible := max(t.now().UnixMilli(), own) + mostAhead.Milliseconds()
	all = slices.DeleteFunc(all, func(version int64) bool { return version > possible }) // somebody else wrote it, too
	if newest := slices.Max(append(all, own)); newest > own {
		return fmt.Errorf("table: this node has version %d, and not version %d, the last that was made before somebody else wrote one into Redis; change the table at a node that has it, or roll back", own, newest)
	}
	return nil
}

// draft makes the version that edit makes of own.
func (t *Table) draft(own *copied, who string, edit edit) (d draft, next document, n note, err error) {
	next, what, err := edit(own.document)
	if err != nil {
		return d, next, n, err
	}
	text, err := next.text()
	if err != nil {
		return d, next, n, err
	}
	d.sum, d.body = sumOf(text), pack(text)
	if d.sum != own.sum {
		if _, err := openBody(own.version, d.sum, d.body); err != nil { // a text that is in Redis stays there
			return d, next, n, errors.Join(errUnreadable, err)
		}
	}
	old, err := unpack(own.body)
	if err != nil {
		return d, next, n, err
	}
	n = note{Who: who, What: append(what, next.base.Since(own.base)...), Sum: d.sum, Previous: own.sum, ID: rand.Text()}
	n.undo = diff(text, old)
	d.replaces, d.exceeds, d.previous, d.undo, d.note, d.settle = own.version, own.version, own.version, n.undo, n.encode(), settles*t.config.Poll
	return d, next, n, nil
}

// fits returns an error if a document cannot be put in force, which every node would find.
func (t *Table) fits(d document) error {
	s, _ := t.effective(d)
	return t.force.Fits(s)
}

// changed puts a version in force here that Redis has just accepted from this node.
func (t *Table) changed(c *copied, n note) error {
	if err := t.putInForce(c); err != nil {
		return err
	}
	t.mu.Lock()
	t.trail = append(trail{n}, t.trail[:min(len(t.trail), mostChanges-1)]...)
	t.mu.Unlock()
	t.writeFile()
	t.report(Event{})
	return nil
}

// made reports whether the trail has the change of an ID.
func (t *Table) made(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trail.has(id)
}
