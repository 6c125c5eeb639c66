package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// The classes of failure that this store adds to those of package ratelimit. Every
// error is of one class.
const (
	ClassConnect  = "connect"  // no connection: refused, no such host, a certificate, or none of the pool was free
	ClassLost     = "lost"     // the connection ended before the answer; the call may have been charged
	ClassLoading  = "loading"  // Redis is reading its data
	ClassBusy     = "busy"     // Redis is busy with another client's script
	ClassReadOnly = "readonly" // a replica was asked, too few replicas listen, or Redis cannot save and refuses writes
	ClassMemory   = "memory"   // maxmemory is reached, and nothing may be evicted
	ClassCluster  = "cluster"  // the Cluster is down, a slot is on its way, or this is no Cluster
	ClassAccess   = "access"   // the password or the rights do not suffice
	ClassScript   = "script"   // the script failed, or the answer is not its own: is this a Redis?
	ClassRedis    = "redis"    // any other error that Redis gave
)

// failure makes an error into one with a class.
func failure(err error) error {
	if failed, ok := errors.AsType[*ratelimit.StoreError](err); ok {
		return failed
	}
	class, notExecuted := classify(err)
	// Of an unknown command Redis repeats the arguments: a password, if that is AUTH.
	if text, _, cut := strings.Cut(err.Error(), ", with args beginning with"); cut {
		err = errors.New(text)
	}
	return &ratelimit.StoreError{Class: class, Err: err, NotCharged: notExecuted}
}

// classify returns the class of an error, and whether it is certain that nothing was
// executed.
func classify(err error) (class string, notExecuted bool) {
	var dial *net.OpError
	switch {
	case errors.Is(err, errAnswer), isUnread(err):
		return ClassScript, false
	case errors.Is(err, errQueued):
		class, _ = classifyTime(err)
		return class, true
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed),
		errors.As(err, &dial) && dial.Op == "dial", isTLS(err), isNobody(err):
		return ClassConnect, true
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		return classifyReply(reply.Error())
	}
	if class, ok := classifyTime(err); ok {
		return class, false
	}
	if _, ok := errors.AsType[net.Error](err); ok ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return ClassLost, false
	}
	return ratelimit.ClassOther, false
}

// classifyTime knows the errors of somebody who has waited long enough.
func classifyTime(err error) (class string, ok bool) {
	if errors.Is(err, context.Canceled) {
		return ratelimit.ClassCanceled, true
	}
	timeout, isNet := errors.AsType[net.Error](err)
	return ratelimit.ClassTimeout, errors.Is(err, context.DeadlineExceeded) || isNet && timeout.Timeout()
}

// isUnread tells whether the client could not read an answer as numbers. These errors
// of go-redis have no types.
func isUnread(err error) bool { return strings.HasPrefix(err.Error(), "redis: can't parse ") }

// isTLS tells whether no connection came about since one side did not trust the other.
func isTLS(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert)
}

// isNobody tells whether the client knew no server to ask. These errors of go-redis
// have no types.
func isNobody(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "redis: all sentinels") || // "specified in configuration are unreachable"
		strings.HasPrefix(text, "redis: all ring shards are down") ||
		strings.HasPrefix(text, "redis: cluster has no nodes")
}

// replies are the errors that Redis, 6.2 or newer, gives, by how they begin. With
// none of them anything was executed: those that the script can run into come with
// its first write, and then it is refused all.
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
	{"ERR Protocol error: unauthenticated", ClassAccess}, // a script call is longer than what Redis takes from strangers
	{"ERR max number of clients reached", ClassConnect},
}

// inScript is how Redis says that the user lacks a right that the script needs.
var inScript = []string{"The user executing the script can't ", "ACL failure in script"}

// classifyReply is classify for an error that Redis gave.
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
	for _, words := range inScript {
		if strings.Contains(text, words) {
			return ClassAccess, true
		}
	}
	if script || strings.HasPrefix(text, "ERR user_script:") || strings.Contains(text, "@user_script:") {
		return ClassScript, false
	}
	return ClassRedis, false
}
