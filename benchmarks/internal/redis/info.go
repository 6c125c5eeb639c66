package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// redisInfo is what Redis says of itself: the fields of INFO by name; of the
// statistics of each command, calls and usec as "evalsha.calls".
type redisInfo map[string]float64

func ReadInfo(ctx context.Context, client *redis.Client) (redisInfo, error) {
	text, err := client.Info(ctx, "all").Result()
	if err != nil {
		return nil, err
	}
	info := parseInfo(text)
	for _, name := range []string{"used_cpu_user", "used_cpu_sys", "connected_clients"} {
		if _, ok := info[name]; !ok {
			return nil, fmt.Errorf("the INFO of this Redis does not have %s", name)
		}
	}
	return info, nil
}

func parseInfo(text string) redisInfo {
	info := redisInfo{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		command, ok := strings.CutPrefix(name, "cmdstat_")
		if !ok {
			info.put(name, value)
			continue
		}
		for part := range strings.SplitSeq(value, ",") {
			field, number, _ := strings.Cut(part, "=")
			info.put(command+"."+field, number)
		}
	}
	return info
}

func (i redisInfo) put(name, value string) {
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		i[name] = v
	}
}

// Since returns by how much the sum of some fields has grown.
func (i redisInfo) Since(before redisInfo, names ...string) float64 {
	sum := 0.0
	for _, name := range names {
		sum += i[name] - before[name]
	}
	return sum
}
