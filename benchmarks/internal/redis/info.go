package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Info is what Redis says of itself: the fields of INFO by name; of the
// statistics of each command, calls and usec as "evalsha.calls".
type Info map[string]float64

// ReadInfo asks Redis for INFO. The fields that every suite needs are in it.
func ReadInfo(ctx context.Context, client *redis.Client) (Info, error) {
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

func parseInfo(text string) Info {
	info := Info{}
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

func (i Info) put(name, value string) {
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		i[name] = v
	}
}

// Since returns by how much the sum of some fields has grown.
func (i Info) Since(before Info, names ...string) float64 {
	sum := 0.0
	for _, name := range names {
		sum += i[name] - before[name]
	}
	return sum
}
