package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/alicebob/miniredis/v2"
)

// A Database is a [Redis] or a stand-in within this program.
type Database struct {
	redis *Redis
	stand *miniredis.Miniredis
	addr  string
}

// StartDatabase starts a redis-server or, where there is none or embed is set, a stand-in within
// this program, and prints which.
func StartDatabase(ctx context.Context, embed bool, out io.Writer) (*Database, error) {
	if !embed {
		r, err := StartRedis(ctx)
		if err == nil {
			fmt.Fprintf(out, "A redis-server of its own runs as process %d, on %s.\n", r.PID(), r.Address)
			return &Database{redis: r, addr: r.Address}, nil
		}
		if !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
	}
	stand, err := miniredis.Run()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "No redis-server is used: a stand-in for it, miniredis, runs within this program, on %s.\n", stand.Addr())
	return &Database{stand: stand, addr: stand.Addr()}, nil
}

// URL returns the address for redisstore.NewClient.
func (d *Database) URL() string { return "redis://" + d.addr }

// End ends it as kill -9 does.
func (d *Database) End() {
	if d.redis != nil {
		d.redis.End()
		return
	}
	d.stand.Close()
}

// Again starts it, empty, where it was before [Database.End].
func (d *Database) Again(ctx context.Context) error {
	if d.redis != nil {
		return d.redis.Again(ctx)
	}
	d.stand = miniredis.NewMiniRedis()
	return Retry(func() error { return d.stand.StartAddr(d.addr) })
}

// Close ends it and removes what it has left.
func (d *Database) Close() error {
	if d.redis != nil {
		return d.redis.Close()
	}
	d.stand.Close()
	return nil
}
