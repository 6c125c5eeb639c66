package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A cost is what decisions have cost Redis.
type cost struct {
	trips int           // calls of a script
	cpu   time.Duration // of the whole server
}

var (
	scriptCalls = regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+),`)
	processor   = regexp.MustCompile(`used_cpu_(?:user|sys):([\d.]+)`)
)

// costOf asks the Redis at address what it has cost since its start.
func costOf(ctx context.Context, address string) (c cost, err error) {
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	defer client.Close()
	commands, err := client.Info(ctx, "commandstats").Result()
	if err != nil {
		return c, err
	}
	for _, m := range scriptCalls.FindAllStringSubmatch(commands, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return c, err
		}
		c.trips += n
	}
	times, err := client.Info(ctx, "cpu").Result()
	if err != nil {
		return c, err
	}
	found := processor.FindAllStringSubmatch(times, -1)
	if len(found) != 2 {
		return c, fmt.Errorf("redis does not report its processor time: %q", times)
	}
	for _, m := range found {
		s, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return c, err
		}
		c.cpu += time.Duration(s * float64(time.Second))
	}
	return c, nil
}
