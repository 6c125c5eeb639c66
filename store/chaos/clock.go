package chaos

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	_ "embed"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed clock.lua
var clockText string

// A Clock replaces Redis' clock for the scripts of the clients that it steers. The scripts
// run unchanged on the real server: a prefix replaces the commands that read the time and
// that expire keys.
//
// Time passes only in Advance, until Go is called. The clock may be read and moved while it
// is in use.
type Clock struct {
	micros  atomic.Int64
	started time.Time         // when Go was called; zero: not yet
	scripts map[string]string // the hash or text that a client sends, to its replacement
	texts   []string
}

var _ redis.Hook = (*Clock)(nil)

// clockStart is 2026-01-01, in microseconds since 1970: with as many digits as in
// production.
const clockStart = 1_767_225_600_000_000

// NewClock returns a clock for the scripts that the package under test sends. Each is a file
// or several, joined by a plus sign, and must read the time once, as redis.call('TIME').
func NewClock(tb testing.TB, scripts ...string) *Clock {
	tb.Helper()
	c := &Clock{scripts: map[string]string{}}
	c.micros.Store(clockStart)
	for _, script := range scripts {
		var all strings.Builder
		for file := range strings.SplitSeq(script, "+") {
			b, err := os.ReadFile(file)
			if err != nil {
				tb.Fatal(err)
			}
			all.Write(b)
		}
		text := all.String()
		if n := strings.Count(text, "redis.call('TIME')"); n != 1 || strings.Count(strings.ToUpper(text), "'TIME'") != n {
			tb.Fatalf("%s reads the time in %d places; it must do so once, as redis.call('TIME')", script, n)
		}
		steered := clockText + text
		c.texts = append(c.texts, steered)
		c.scripts[text] = steered
		c.scripts[sha(text)] = sha(steered)
	}
	return c
}

func sha(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// Now returns the time in microseconds since 1970.
func (c *Clock) Now() int64 {
	if c.started.IsZero() {
		return c.micros.Load()
	}
	return c.micros.Load() + int64(time.Since(c.started)/time.Microsecond)
}

// Go starts the clock, which Advance then moves as well. Call it before the clock is in
// use.
func (c *Clock) Go() { c.started = time.Now() }

// Advance moves the clock by d, a whole number of microseconds. A negative d sets it back.
func (c *Clock) Advance(d time.Duration) { c.micros.Add(int64(d / time.Microsecond)) }

// Set sets the clock.
func (c *Clock) Set(micros int64) { c.micros.Store(micros) }

// Steer makes the scripts of a client, which must not be in use yet, read this clock. All
// scripts but those of NewClock then fail.
func (c *Clock) Steer(client redis.UniversalClient) { client.AddHook(c) }

// DialHook implements [redis.Hook] and changes nothing.
func (c *Clock) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (c *Clock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		steered, err := c.steered(ctx, cmd)
		if err != nil {
			cmd.SetErr(err)
			return err
		}
		if steered == nil {
			return next(ctx, cmd)
		}
		err = next(ctx, steered)
		steered.answer(cmd)
		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (c *Clock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		sent := slices.Clone(cmds)
		for i, cmd := range cmds {
			steered, err := c.steered(ctx, cmd)
			if err != nil {
				cmd.SetErr(err)
				return err
			}
			if steered != nil {
				sent[i] = steered
			}
		}
		err := next(ctx, sent)
		for i, cmd := range sent {
			if steered, ok := cmd.(*steeredCmd); ok {
				steered.answer(cmds[i])
			}
		}
		return err
	}
}

// A steeredCmd is sent in place of another command, and once, as that is.
type steeredCmd struct{ *redis.Cmd }

// NoRetry returns true: the client must not send the command twice.
func (*steeredCmd) NoRetry() bool { return true }

// answer copies the answer to the command of the caller.
func (s *steeredCmd) answer(cmd redis.Cmder) {
	err := s.Err()
	switch cmd := cmd.(type) {
	case interface{ SetVal(v any) }:
		cmd.SetVal(s.Val())
	case interface{ SetVal(v []int64) }:
		var numbers []int64
		numbers, err = s.Int64Slice()
		cmd.SetVal(numbers)
	}
	cmd.SetErr(err)
}

// steered returns the command that replaces a script call, and nil for any other command.
func (c *Clock) steered(ctx context.Context, cmd redis.Cmder) (*steeredCmd, error) {
	if name := cmd.Name(); name != "eval" && name != "evalsha" {
		return nil, nil
	}
	args := slices.Clone(cmd.Args())
	which, _ := args[1].(string)
	script, known := c.scripts[which]
	if !known {
		return nil, errors.New("chaos: the clock does not steer this script; name its files in NewClock")
	}
	args[1] = script
	return &steeredCmd{redis.NewCmd(ctx, append(args, c.Now())...)}, nil
}
