package table

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/redisstore"
)

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// Prefix begins the name of every key in Redis, as that of [redisstore.Config] does. ""
	// means "keyrate". Nodes with the same prefix, on the same Redis, share the table.
	Prefix string
	// File is the path of a file for the last good copy, which is read if Redis is unavailable at
	// the start. Its mode is 0600, and hashes stand for keys. "" means none. Each node needs
	// one of its own, in a folder that exists.
	File string
	// Poll is how often a node asks Redis for a new version, and shows that it is alive. It is
	// varied by a quarter, so that nodes do not ask together. 0 means 1 s. A node without a
	// sign of life for four times as long does not count as one. It should be the same on all
	// nodes: after a loss, changes wait for three polls.
	Poll time.Duration
	// Nodes is how many nodes there are, until Redis has said so. 0 means 1.
	Nodes int
	// OnNodes, if not nil, is called with the number of nodes when that has changed, such as
	// SetNodes of a mirror.Store. It must be quick. A panic has no effect.
	OnNodes func(nodes int)
	// OnEvent, if not nil, is called after another version was put in force, and after an attempt
	// to read one has failed, one call at a time. It must be quick, and must not change the
	// table. A panic has no effect.
	OnEvent func(Event)
	// TrustClient accepts a client of a type whose options cannot be read: see
	// [redisstore.Config].
	TrustClient bool
}

// An Event is what came of an attempt to follow the table in Redis.
type Event struct {
	// Version is the version in force.
	Version int64
	// Err is why another version could not be put in force, or why Redis could not be asked; nil
	// if Version has just been put in force.
	Err error
	// PutBack reports that Redis had no table, or an older one, and got Version from this node.
	PutBack bool
}

const (
	defaultPrefix = "keyrate"
	defaultPoll   = time.Second
	lasts         = 4 // polls without a sign of life until a node does not count
	settles       = 3 // polls without a change after a version was put back
)

// New returns a table that nodes share through Redis. initial is in force until another version
// has been read, and is written if Redis and the other nodes have none. New does no I/O and starts
// no goroutine: call [Table.Load] and [Table.Run]. The caller closes the client. The error joins
// all faults of the arguments.
func New(client redis.UniversalClient, initial plans.TableConfig, c Config) (*Table, error) {
	var faults []error
	if _, err := redisstore.New(client, redisstore.Config{Prefix: c.Prefix, TrustClient: c.TrustClient}); err != nil {
		faults = append(faults, err)
	}
	if c.Poll < 0 {
		faults = append(faults, fmt.Errorf("table: Config.Poll %v must not be negative; 0 means %v", c.Poll, defaultPoll))
	}
	if c.Nodes < 0 {
		faults = append(faults, fmt.Errorf("table: Config.Nodes %d must be the number of nodes; 0 means 1", c.Nodes))
	}
	base, err := snapshotOf(initial)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	return newTable(client, base, c)
}
