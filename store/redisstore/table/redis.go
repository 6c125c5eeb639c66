package table

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

//go:embed head.lua
var headLua string

//go:embed beat.lua
var beatLua string

//go:embed commit.lua
var commitLua string

var beatScript, commitScript = headLua + beatLua, headLua + commitLua

//go:embed note.lua
var noteScript string

// partSize is in bytes. A client for decisions waits 50 ms for a reply, so that a large value is
// read and written in parts.
const partSize = 128 << 10

// A server is what there is of the table in Redis. All keys have one hash tag, so that a Cluster
// keeps them in one slot.
type server struct {
	client redis.UniversalClient
	prefix string

	reloaded atomic.Int64 // when the topology of a Cluster was last asked for, in Unix nanoseconds
}

func (s *server) key(name string) string { return s.prefix + ":{table}:" + name }

// channel is where new versions are announced.
func (s *server) channel() string { return s.key("news") }

// staged returns the name of a value that is being written.
func (s *server) staged() string { return s.key("new:" + rand.Text()) }

// A head is what Redis says of the table.
type head struct {
	version  int64 // 0: there is none
	sum      string
	parts    int
	restored int64 // when the version was put back, by Redis' clock; 0 if it was not
	whole    bool  // the body has all parts
	now      time.Time
	nodes    int
	known    bool  // this node had been counted
	noted    int64 // how many changes were added to the trail again
}

// once is a command that a client does not send twice.
type once struct{ *redis.Cmd }

// NoRetry returns true: the command may have been executed.
func (once) NoRetry() bool { return true }

// run calls a script. The errors are [*store.Error]s.
func (s *server) run(ctx context.Context, script string, keys []string, args ...any) ([]any, error) {
	all := []any{"eval", script, len(keys)}
	for _, key := range keys {
		all = append(all, key)
	}
	command := once{redis.NewCmd(ctx, append(all, args...)...)}
	// Without these a ClusterClient asks a server where the keys are, for up to 5 s.
	command.SetFirstKeyPos(3)
	command.SetStepCount(1)
	var err error
	var reply []any
	if panicked := store.Try(func() {
		if err = s.client.Process(ctx, command); err == nil {
			reply, err = command.Slice()
		}
	}); panicked != nil {
		err = panicked
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return reply, nil
}

// reloadEvery is the shortest time between two requests for the topology of a Cluster.
const reloadEvery = 250 * time.Millisecond

// failed returns the error of a client with its class. The client of a Cluster asks for the
// topology once a minute, and not after a refused connection: here it does so after any error.
func (s *server) failed(err error) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		now, last := time.Now().UnixNano(), s.reloaded.Load()
		if now-last >= int64(reloadEvery) && s.reloaded.CompareAndSwap(last, now) {
			cluster.ReloadState(context.Background()) // on a goroutine of the client
		}
	}
	return redisstore.Failure(err)
}

// beat counts the node as alive, or no more, and returns the head.
func (s *server) beat(ctx context.Context, node string, lasts time.Duration, leave bool) (h head, err error) {
	last := 0
	if leave {
		last = 1
	}
	reply, err := s.run(ctx, beatScript, []string{s.key("head"), s.key("body"), s.key("nodes")}, node, lasts.Microseconds(), last)
	if err != nil {
		return h, err
	}
	f := fields(reply)
	h = head{version: f.number(0), sum: f.text(1), parts: int(f.number(2)), restored: f.number(3), whole: f.number(4) == 1,
		now: time.UnixMicro(f.number(5)), nodes: int(f.number(6)), known: f.number(7) == 1, noted: f.number(8)}
	if len(reply) != 9 {
		return head{}, errReply
	}
	return h, nil
}

var errReply = &store.Error{Class: redisstore.ClassScript, Err: fmt.Errorf("table: the answer has not the form of the script's; is there a proxy in between?")}

// fields are a reply of a script.
type fields []any

func (f fields) text(i int) string {
	if i < len(f) {
		return fmt.Sprint(f[i])
	}
	return ""
}

func (f fields) number(i int) int64 {
	n, _ := strconv.ParseInt(f.text(i), 10, 64)
	return n
}

// A draft is a version that is to be put in place of another one.
type draft struct {
	replaces int64 // or, to put it back, its own version
	exceeds  int64 // less than the new version
	previous int64 // to which the undo leads
	back     bool
	sum      string
	body     []byte
	undo     []byte
	note     []byte
	settle   time.Duration
}

// commit writes a draft. It returns what came of it: done and the new version, changed, settling
// and the microseconds until that is over, or unstaged.
func (s *server) commit(ctx context.Context, d draft) (outcome string, n int64, err error) {
	body, undo := s.staged(), s.staged()
	if err := s.write(ctx, body, d.body); err != nil {
		return "", 0, err
	}
	if err := s.write(ctx, undo, d.undo); err != nil {
		return "", 0, err
	}
	back := 0
	if d.back {
		back = 1
	}
	reply, err := s.run(ctx, commitScript, []string{s.key("head"), s.key("body"), s.key("trail"), s.key("undo"), body, undo},
		d.replaces, d.sum, parts(d.body), parts(d.undo), d.note, mostChanges, mostUndo, d.settle.Microseconds(), back, s.channel(), d.previous, d.exceeds)
	f := fields(reply)
	return f.text(0), f.number(1), err
}

// parts returns how many parts a value has.
func parts(data []byte) int { return (len(data) + partSize - 1) / partSize }

// stagedFor is how long a value stays that is written and not used.
const stagedFor = time.Minute

// write writes a value in parts.
func (s *server) write(ctx context.Context, key string, data []byte) error {
	i := 0
	for part := range slices.Chunk(data, partSize) {
		var err error
		if panicked := store.Try(func() {
			_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.HSet(ctx, key, i, part)
				p.PExpire(ctx, key, stagedFor)
				return nil
			})
		}); panicked != nil {
			err = panicked
		}
		if err != nil {
			return s.failed(err)
		}
		i++
	}
	return nil
}

// read reads a value of so many parts, whose fields begin with prefix.
func (s *server) read(ctx context.Context, key, prefix string, n int) ([]byte, error) {
	var all bytes.Buffer
	for i := range n {
		part, err := s.get(ctx, key, prefix+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		all.Write(part)
		if all.Len() > maxText {
			return nil, errForeign
		}
	}
	return all.Bytes(), nil
}

// get reads a field. It returns nothing for one that is not there.
func (s *server) get(ctx context.Context, key, field string) (value []byte, err error) {
	if panicked := store.Try(func() { value, err = s.client.HGet(ctx, key, field).Bytes() }); panicked != nil {
		err = panicked
	}
	if err != nil && err != redis.Nil { //nolint:errorlint // it is never wrapped
		return nil, s.failed(err)
	}
	return value, nil
}

// versions returns the versions in the trail, in no order.
func (s *server) versions(ctx context.Context) (all []int64, err error) {
	var names []string
	if panicked := store.Try(func() { names, err = s.client.HKeys(ctx, s.key("trail")).Result() }); panicked != nil {
		err = panicked
	}
	if err != nil {
		return nil, s.failed(err)
	}
	for _, name := range names {
		if version, err := strconv.ParseInt(name, 10, 64); err == nil {
			all = append(all, version)
		}
	}
	return all, nil
}
