package table

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

const (
	mostChanges = 100
	mostUndo    = 32 << 20 // bytes of undo: six exchanges of 100,000 keys
)

// A note is a change in the audit trail.
type note struct {
	version, previous int64
	undo              []byte // a delta from the text of version to that of previous

	Who      string   `json:"who"`
	What     []string `json:"what"`
	Sum      string   `json:"sum"`      // of the text
	Previous string   `json:"previous"` // the sum of the text before
	ID       string   `json:"id"`       // by which the node finds it whose commit had no answer
}

// encode returns what Redis keeps of a note beside the undo.
func (n *note) encode() []byte {
	text, _ := json.Marshal(n) // texts cause no error
	return text
}

// stored returns the value of the note in the trail.
func (n *note) stored() []byte {
	return fmt.Appendf(nil, "%d %d %s", n.previous, parts(n.undo), n.encode())
}

// noteOf reads a note and the number of the parts of its undo.
func noteOf(version int64, value []byte) (n note, undo int, err error) {
	previous, rest, _ := bytes.Cut(value, []byte(" "))
	count, text, ok := bytes.Cut(rest, []byte(" "))
	n.version = version
	n.previous, err = strconv.ParseInt(string(previous), 10, 64)
	if err == nil {
		undo, err = strconv.Atoi(string(count))
	}
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil || !ok || undo < 0 || undo > mostUndo/partSize+1 {
		return note{}, 0, errDelta
	}
	return n, undo, nil
}

// change returns the note for operators.
func (n *note) change() plans.Change {
	return plans.Change{Version: n.version, At: time.UnixMilli(n.version).UTC(), Who: n.Who, What: slices.Clone(n.What)}
}

// A trail is the last changes, the newest first.
type trail []note

func (t trail) find(version int64) int {
	return slices.IndexFunc(t, func(n note) bool { return n.version == version })
}

// has reports whether the change of an ID is in the trail.
func (t trail) has(id string) bool {
	return slices.ContainsFunc(t, func(n note) bool { return n.ID == id })
}

// textOf returns the text of a version. text is that of the current one.
func (t trail) textOf(version, current int64, text string) (string, error) {
	for range t {
		i := t.find(current)
		if version == current || i < 0 {
			break
		}
		var err error
		if text, err = patch(text, t[i].undo); err != nil || sumOf(text) != t[i].Previous {
			return "", errDelta
		}
		current = t[i].previous
	}
	if version != current {
		return "", plans.ErrNoVersion
	}
	return text, nil
}

// catchUp makes the trail of the node that of Redis. If Redis has lost its own, because the
// version was put back, it gets first what the node remembers.
func (s *server) catchUp(ctx context.Context, mine trail, lost bool) (trail, error) {
	there, err := s.versions(ctx)
	if err != nil {
		return nil, err
	}
	if lost {
		for i := range mine {
			if slices.Contains(there, mine[i].version) {
				continue
			}
			if err := s.remember(ctx, &mine[i]); err != nil {
				return nil, err
			}
			there = append(there, mine[i].version)
		}
	}
	var all trail
	for _, version := range there {
		if i := mine.find(version); i >= 0 {
			all = append(all, mine[i])
			continue
		}
		n, err := s.note(ctx, version)
		if errors.Is(err, errDelta) {
			continue // it has just been dropped, or is not ours
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b note) int { return cmp.Compare(b.version, a.version) })
	return all[:min(len(all), mostChanges)], nil
}

// note reads a note from Redis.
func (s *server) note(ctx context.Context, version int64) (note, error) {
	name := strconv.FormatInt(version, 10)
	value, err := s.get(ctx, s.key("trail"), name)
	if err != nil {
		return note{}, err
	}
	n, count, err := noteOf(version, value)
	if err != nil {
		return note{}, err
	}
	n.undo, err = s.read(ctx, s.key("undo"), name+":", count)
	return n, err
}

// remember writes a note that Redis has lost.
func (s *server) remember(ctx context.Context, n *note) error {
	staged := s.staged()
	if err := s.write(ctx, staged, n.undo); err != nil {
		return err
	}
	_, err := s.run(ctx, noteScript, []string{s.key("head"), s.key("trail"), s.key("undo"), staged}, n.version, n.stored(), parts(n.undo))
	return err
}
