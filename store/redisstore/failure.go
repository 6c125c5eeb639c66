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

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// The classes of failure that this store adds to those of package store. Every
// error has one class.
const (
	ClassConnect  = "connect"  // no connection: refused, no such host, a certificate, or the pool is exhausted
	ClassLost     = "lost"     // the connection ended before the answer; the call may have been charged
	ClassLoading  = "loading"  // Redis is reading its data
	ClassBusy     = "busy"     // Redis is busy with another client's script
	ClassReadOnly = "readonly" // the server is a replica, has too few replicas, or cannot save and so rejects writes
	ClassMemory   = "memory"   // maxmemory is reached, and nothing may be evicted
	ClassCluster  = "cluster"  // the Cluster is down, a slot is being moved, or this is no Cluster
	ClassAccess   = "access"   // the password is wrong or the user lacks a right
	ClassScript   = "script"   // the script failed, or something else answered: is this a Redis?
	ClassRedis    = "redis"    // any other error from Redis
)

var (
	errNoHold   = &store.Error{Class: store.ClassOther, NotCharged: true, Err: errors.New("redisstore: the request has a limit on concurrent calls, whose slot can only be held; set Request.Hold")}
	errZero     = &store.Error{Class: store.ClassOther, NotCharged: true, Err: errors.New("redisstore: this is the zero Store; make one with redisstore.New")}
	errLimits   = &store.Error{Class: store.ClassOther, NotCharged: true, Err: errors.New("redisstore: a request must have 1 to 4 limits; is its policy ratelimit.Unlimited?")}
	errOtherKey = &store.Error{Class: store.ClassOther, NotCharged: true, Err: errors.New("redisstore: Request.Release has a settlement of another home or key; pass it to Settle")}
	// errPanic does not repeat the value of the panic, which may hold anything.
	errPanic = &store.Error{Class: store.ClassPanic, Err: errors.New("redisstore: the Redis client panicked")}
	// errQueued is the cause of a timeout before the call was sent.
	errQueued = errors.New("redisstore: nothing was sent")
	errAnswer = errors.New("redisstore: the answer has not the form of the script's; is there a proxy in between, or was the script replaced?")
)

// classes are the Class constants of this package.
var classes = [...]string{
	ClassConnect, ClassLost, ClassLoading, ClassBusy, ClassReadOnly, ClassMemory, ClassCluster, ClassAccess, ClassScript, ClassRedis,
}

// Measure implements [metrics.Source]: it adds 0 to the errors of each class, so that the rate of
// errors shows the first one.
func (s *Store) Measure(r *metrics.Reading) {
	for _, class := range classes {
		r.Add(metrics.StoreErrors, 0, class)
	}
}

// failure returns an error as one with a class.
func failure(err error) error {
	if failed, ok := errors.AsType[*store.Error](err); ok {
		return failed
	}
	class, notExecuted := classify(err)
	// Redis repeats the arguments of an unknown command, which may be AUTH.
	if text, _, cut := strings.Cut(err.Error(), ", with args beginning with"); cut {
		err = errors.New(text)
	}
	return &store.Error{Class: class, Err: err, NotCharged: notExecuted}
}

// classify returns the class of an error, and whether certainly nothing was executed.
func classify(err error) (class string, notExecuted bool) {
	var dial *net.OpError
	switch {
	case errors.Is(err, errAnswer), isUnreadable(err):
		return ClassScript, false
	case errors.Is(err, errQueued):
		class, _ = classifyTime(err)
		return class, true
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted), errors.Is(err, redis.ErrClosed),
		errors.As(err, &dial) && dial.Op == "dial", isTLS(err), hasNoServer(err):
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
	return store.ClassOther, false
}

// classifyTime returns the class of a timeout or of a context that was canceled.
func classifyTime(err error) (class string, ok bool) {
	if errors.Is(err, context.Canceled) {
		return store.ClassCanceled, true
	}
	timeout, isNet := errors.AsType[net.Error](err)
	return store.ClassTimeout, errors.Is(err, context.DeadlineExceeded) || isNet && timeout.Timeout()
}

// isUnreadable reports whether the client could not read an answer as numbers. go-redis
// has no type for these errors.
func isUnreadable(err error) bool { return strings.HasPrefix(err.Error(), "redis: can't parse ") }

// isTLS reports whether there is no connection because one side did not trust the other.
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

// hasNoServer reports whether the client knew no server to send to. go-redis has no types
// for these errors.
func hasNoServer(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "redis: all sentinels") || // "specified in configuration are unreachable"
		strings.HasPrefix(text, "redis: all ring shards are down") ||
		strings.HasPrefix(text, "redis: cluster has no nodes")
}

// Failure returns an error of a Redis client as a [*store.Error] of one of the classes, for other
// packages that use the client of a store. err must not be nil.
func Failure(err error) error { return failure(err) }
