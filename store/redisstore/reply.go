package redisstore

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// replies are the errors of Redis, 6.2 or newer, by how they begin. With each of them
// nothing was executed: those that the script can meet come with its first write, and
// then all of its writes fail.
var replies = []struct{ prefix, class string }{
	{"NOSCRIPT ", ClassScript},
	{"LOADING ", ClassLoading},
	{"BUSY ", ClassBusy},
	{"READONLY ", ClassReadOnly},
	{"NOREPLICAS ", ClassReadOnly},
	{"MASTERDOWN ", ClassReadOnly},
	{"MISCONF ", ClassReadOnly},
	{"OOM ", ClassMemory},
	{"CLUSTERDOWN ", ClassCluster},
	{"TRYAGAIN ", ClassCluster},
	{"MOVED ", ClassCluster},
	{"ASK ", ClassCluster},
	{"CROSSSLOT ", ClassCluster},
	{noCluster, ClassCluster},
	{"NOPERM ", ClassAccess},
	{"NOAUTH ", ClassAccess},
	{"WRONGPASS ", ClassAccess},
	{"ERR AUTH ", ClassAccess},
	{"ERR invalid password", ClassAccess},
	{"ERR Protocol error: unauthenticated", ClassAccess}, // a script call is longer than what Redis accepts before AUTH
	{"ERR max number of clients reached", ClassConnect},
}

// rightsInScript are the words of Redis for a right that the script lacks.
var rightsInScript = []string{"The user executing the script can't ", "ACL failure in script"}

// classifyReply returns the class of an error from Redis, and whether certainly nothing
// was executed.
func classifyReply(text string) (class string, notExecuted bool) {
	// Before Redis 7 the error of a command comes with the words of the script around
	// it: "ERR Error running script (call to f_...): @user_script:1: -READONLY You ..."
	script := strings.HasPrefix(text, "ERR Error running script") || strings.HasPrefix(text, "ERR Error compiling script")
	for _, r := range replies {
		if strings.HasPrefix(text, r.prefix) || script && strings.Contains(text, ": -"+r.prefix) {
			return r.class, true
		}
	}
	if saysCrossSlot(text) {
		return ClassCluster, true
	}
	for _, words := range rightsInScript {
		if strings.Contains(text, words) {
			return ClassAccess, true
		}
	}
	if script || strings.HasPrefix(text, "ERR user_script:") || strings.Contains(text, "@user_script:") {
		return ClassScript, false
	}
	return ClassRedis, false
}

// isReply reports whether err is an error from Redis whose text satisfies is.
func isReply(err error, is func(text string) bool) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && is(reply.Error())
}

// noCluster begins the answer of a single server to a command about clusters.
const noCluster = "ERR This instance has cluster support disabled"

func isNoCluster(err error) bool {
	return isReply(err, func(text string) bool { return strings.HasPrefix(text, noCluster) })
}

// isCrossSlot reports whether Redis rejected a script call because its keys are not in
// one slot. Then nothing was executed.
func isCrossSlot(err error) bool { return isReply(err, saysCrossSlot) }

// saysCrossSlot knows Redis, Valkey and Redis Enterprise by the code, and proxies of
// hosted services by the words that they share.
func saysCrossSlot(text string) bool {
	text = strings.ToLower(text)
	return strings.HasPrefix(text, "crossslot") || strings.HasPrefix(text, "err crossslot") ||
		strings.Contains(text, "cross-slot") || strings.Contains(text, "same slot") || strings.Contains(text, "same hash slot")
}

// isElsewhere reports whether another node of a Cluster has the key.
func isElsewhere(err error) bool {
	return isReply(err, func(text string) bool {
		return strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "ASK ")
	})
}
