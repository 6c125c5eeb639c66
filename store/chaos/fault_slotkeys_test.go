package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// A names finds the names of the buckets of an API key without a Redis: it reads the command
// that the store would send.
type names struct {
	store *redisstore.Store
	last  string
}

var _ redis.Hook = (*names)(nil)

func newNames(t testing.TB) *names {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	n := &names{}
	client.AddHook(n)
	n.store = newStore(t, client, redisstore.Config{})
	return n
}

var errNotSent = errors.New("not sent")

// DialHook implements [redis.Hook].
func (*names) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook]: it reads the name and sends nothing.
func (n *names) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		n.last = fmt.Sprint(cmd.Args()[3])
		cmd.SetErr(errNotSent)
		return errNotSent
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (*names) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// of returns the name of the bucket of a key.
func (n *names) of(key string, p []store.Limit) string {
	_, _ = n.store.Take(context.Background(), store.Request{Key: key, Limits: p, Cost: 1}) // errNotSent
	return n.last
}

// keysIn returns n API keys in wanted slots.
func keysIn(t testing.TB, cluster *chaos.Cluster, name string, n int, wanted func(slot int) bool) []string {
	t.Helper()
	names, p := newNames(t), policyOf(t, ratelimit.PerSecond(5))
	var keys []string
	for i := 0; len(keys) < n; i++ {
		if i == 1_000_000 {
			t.Fatalf("only %d of %d keys in wanted slots, after a million", len(keys), n)
		}
		key := fmt.Sprintf("%s %d", name, i)
		if bucket := names.of(key, p); wanted(slotOf(bucket)) {
			if slot := cluster.SlotOf(bucket); slot != slotOf(bucket) {
				t.Fatalf("%q is in slot %d according to Redis; slotOf returns %d", bucket, slot, slotOf(bucket))
			}
			keys = append(keys, key)
		}
	}
	return keys
}

// slotOf returns the same as CLUSTER KEYSLOT: the CRC16 (XMODEM) of the hash tag.
func slotOf(bucket string) int {
	if _, rest, found := strings.Cut(bucket, "{"); found {
		if tag, _, found := strings.Cut(rest, "}"); found && tag != "" {
			bucket = tag
		}
	}
	crc := uint16(0)
	for _, b := range []byte(bucket) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % 16384
}
