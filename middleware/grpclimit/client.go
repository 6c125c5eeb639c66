package grpclimit

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/middleware/internal/pace"
	"github.com/keyrate/keyrate/middleware/internal/signals"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/store"
)

// ClientConfig configures [NewClient]. The zero value is ready to use.
type ClientConfig struct {
	// MaxWait is the longest time that one call waits, in the queue and after denials together.
	// 0 means [transport.DefaultMaxWait]. No call waits past the deadline of its context.
	MaxWait time.Duration
	// MaxRetries is how often a unary call is made again after a denial. 0 means
	// [transport.DefaultMaxRetries]; if it is negative, no call is made again.
	MaxRetries int
	// Key returns what a call counts against: calls to one target with the same key share a
	// pace. nil means the outgoing metadata authorization, and whatever has a name that ends in
	// -key or -token. Only a hash of the key is kept. If Key panics, the metadata counts.
	Key func(ctx context.Context) string
}

// A Client keeps the calls of a client within the limits of the servers that it calls, as
// package transport does for HTTP, and by the same rules. It reads the fields in the responses,
// spaces calls so that they are not denied, and waits as a denial asks. It is safe for
// concurrent use and meant to be shared by connections.
//
//	c, err := grpclimit.NewClient(grpclimit.ClientConfig{})
//	conn, err := grpc.NewClient(target,
//		grpc.WithChainUnaryInterceptor(c.Unary),
//		grpc.WithChainStreamInterceptor(c.Stream),
//	)
//
// A denial is codes.ResourceExhausted or codes.Unavailable with a RetryInfo, a pushback or a
// Retry-After. Use it in place of a retry policy for these codes, not beside it: its retries are
// not paced.
type Client struct {
	config    ClientConfig
	paces     pace.Cache
	seed      []byte       // of the hashes of keys
	routeSeed maphash.Seed // of the hashes of methods
}

// NewClient returns a Client. The error joins all faults of c.
func NewClient(c ClientConfig) (*Client, error) {
	if c.MaxWait < 0 {
		return nil, fmt.Errorf("grpclimit: ClientConfig.MaxWait %v must not be negative; 0 means %v", c.MaxWait, transport.DefaultMaxWait)
	}
	c.MaxWait = min(cmp.Or(c.MaxWait, transport.DefaultMaxWait), signals.MaxTime)
	c.MaxRetries = cmp.Or(c.MaxRetries, transport.DefaultMaxRetries)
	return &Client{
		config:    c,
		paces:     pace.Cache{MaxPaces: transport.DefaultMaxPaces, MaxWait: c.MaxWait},
		seed:      []byte(rand.Text()),
		routeSeed: maphash.MakeSeed(),
	}, nil
}

// Format prints the type: the fields show the hashes of keys.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*grpclimit.Client")) }

var (
	_ grpc.UnaryClientInterceptor  = (*Client)(nil).Unary
	_ grpc.StreamClientInterceptor = (*Client)(nil).Stream
)

// Unary is a [grpc.UnaryClientInterceptor]. A call that would have to wait too long returns the
// last denial or, if there is none, a status that wraps a [*transport.WaitError].
func (c *Client) Unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	p := c.acquire(ctx, conn)
	defer c.paces.Release(p)
	ticket, left := p.Ticket(c.route(method)), c.config.MaxWait
	var last error // the last denial
	for attempts := 1; ; attempts++ {
		began := time.Now()
		attempt, err := p.Wait(ctx, ticket, left)
		if err != nil {
			return notSent(err, last)
		}
		left -= time.Since(began)
		var r response
		func() {
			answered := false
			defer func() {
				if !answered { // invoke panics
					p.Failed()
				}
			}()
			r.err = invoke(ctx, method, request, reply, conn, append(slices.Clip(options), grpc.Header(&r.header), grpc.Trailer(&r.trailer))...)
			answered = r.arrived()
		}()
		if !r.arrived() {
			return r.err
		}
		wait, final := r.learn(p, attempt, attempts)
		if wait == 0 || final || attempts > c.config.MaxRetries || wait > patience(ctx, left) {
			return r.err
		}
		last = r.err
	}
}

// Stream is a [grpc.StreamClientInterceptor]. A stream waits before it is opened. One that is
// denied is not opened again, because its messages may be gone.
func (c *Client) Stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	p := c.acquire(ctx, conn)
	defer c.paces.Release(p)
	attempt, err := p.Wait(ctx, p.Ticket(c.route(method)), c.config.MaxWait)
	if err != nil {
		return nil, notSent(err, nil)
	}
	opened := false
	defer func() {
		if !opened {
			p.Failed()
		}
	}()
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, err
	}
	opened = true
	paced := &pacedStream{ClientStream: stream, pace: p, attempt: attempt}
	paced.stop = context.AfterFunc(ctx, paced.abandoned)
	return paced, nil
}

// acquire returns the pace of a call.
func (c *Client) acquire(ctx context.Context, conn *grpc.ClientConn) *pace.Pace {
	target := ""
	if conn != nil {
		target = conn.CanonicalTarget()
	}
	b := append(slices.Clip(c.seed), target...)
	b = append(b, 0)
	return c.paces.Acquire(sha256.Sum256(append(b, c.key(ctx)...)))
}

// key returns what Key returns, or the credentials if it is nil or panics.
func (c *Client) key(ctx context.Context) (key string) {
	if c.config.Key != nil && store.Try(func() { key = c.config.Key(ctx) }) == nil {
		return key
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	return credentials(md)
}

func (c *Client) route(method string) pace.Route {
	return pace.Route(maphash.String(c.routeSeed, method))
}

// patience returns how much longer a call may wait.
func patience(ctx context.Context, left time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(left, time.Until(deadline))
	}
	return left
}

// notSent returns the error of a call that is not made: the last denial, if there was one and
// the context has not ended.
func notSent(err, last error) error {
	late, isLate := errors.AsType[pace.LateError](err)
	switch {
	case !isLate:
		return status.FromContextError(err).Err()
	case last != nil:
		return last
	}
	wait := transport.WaitError(late)
	return &waitError{&wait}
}
