package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed usual.lua
var usualText string

//go:embed bucket.lua
var bucketText string

//go:embed take.lua
var takeText string

//go:embed reset.lua
var resetText string

var (
	takeScript  = newScript(usualText + bucketText + takeText)
	resetScript = newScript(resetText)
)

// A script is called by its hash, and sent in full only if Redis does not have it.
// (redis.Script cannot do that in a pipeline.)
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return script{text, hex.EncodeToString(sum[:])}
}

// A command is one that the client does not retry: a decision whose answer was lost may
// have been charged. The client still follows MOVED and ASK, with which nothing was
// executed.
type command struct{ *redis.IntSliceCmd }

// NoRetry returns true: the client must not send the command twice.
func (command) NoRetry() bool { return true }

// byHash returns the command that calls the script by its hash.
func (s script) byHash(ctx context.Context, keys, args []any) command {
	return newCommand(ctx, "evalsha", s.sha, keys, args)
}

// inFull returns the command that contains the text of the script.
func (s script) inFull(ctx context.Context, keys, args []any) command {
	return newCommand(ctx, "eval", s.text, keys, args)
}

func newCommand(ctx context.Context, name, which string, keys, args []any) command {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, which, len(keys))
	all = append(all, keys...)
	all = append(all, args...)
	cmd := redis.NewIntSliceCmd(ctx, all...)
	// Without these a ClusterClient asks a server where the keys are, holding a lock, for
	// up to 5 s whatever the context says.
	cmd.SetFirstKeyPos(3)
	cmd.SetStepCount(1)
	return command{cmd}
}

// isMissing reports whether Redis does not have the script, or does not permit to call it
// by its hash. Then nothing was executed.
func isMissing(err error) bool {
	if err == nil {
		return false
	}
	text := strings.ToLower(err.Error())
	return strings.HasPrefix(text, "noscript") ||
		strings.HasPrefix(text, "noperm") && strings.Contains(text, "'evalsha'") ||
		strings.HasPrefix(text, unknownCommand+" 'evalsha'") || strings.HasPrefix(text, unknownCommand+" `evalsha`")
}

// unknownCommand begins the error about a command that this Redis does not have or has
// renamed.
const unknownCommand = "err unknown command"
