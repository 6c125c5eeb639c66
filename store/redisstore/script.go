package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed take.lua
var takeText string

//go:embed reset.lua
var resetText string

var (
	takeScript  = newScript(takeText)
	resetScript = newScript(resetText)
)

// A script is called by its hash, and sent in full only when Redis has lost it.
// (redis.Script does not do that in a pipeline.)
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return script{text, hex.EncodeToString(sum[:])}
}

// A command is one that the client never sends twice of its own accord: a decision
// whose answer was lost may have been charged. MOVED and ASK are still followed,
// since with them nothing was executed.
type command struct{ *redis.IntSliceCmd }

// NoRetry tells the client so.
func (command) NoRetry() bool { return true }

// byHash returns the command that calls the script by its hash.
func (s script) byHash(ctx context.Context, keys, args []any) command {
	return newCommand(ctx, "evalsha", s.sha, keys, args)
}

// inFull returns the command that brings the script along.
func (s script) inFull(ctx context.Context, keys, args []any) command {
	return newCommand(ctx, "eval", s.text, keys, args)
}

func newCommand(ctx context.Context, name, which string, keys, args []any) command {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, which, len(keys))
	all = append(all, keys...)
	all = append(all, args...)
	cmd := redis.NewIntSliceCmd(ctx, all...)
	// What a ClusterClient does not know of a command it asks a server for, behind a
	// lock and for up to 5 s whatever the context says.
	cmd.SetFirstKeyPos(3)
	cmd.SetStepCount(1)
	return command{cmd}
}

// isMissing tells whether Redis does not know the script, or may not be asked for it
// by its hash: then nothing was executed.
func isMissing(err error) bool {
	if err == nil {
		return false
	}
	text := strings.ToLower(err.Error())
	return strings.HasPrefix(text, "noscript") ||
		strings.HasPrefix(text, "noperm") && strings.Contains(text, "'evalsha'") ||
		strings.HasPrefix(text, unknownCommand+" 'evalsha'") || strings.HasPrefix(text, unknownCommand+" `evalsha`")
}

// unknownCommand begins the error about a command that this Redis does not have, or
// under another name.
const unknownCommand = "err unknown command"
