package redisstore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// logged collects the log of go-redis. Tests cause many failures, and search it.
var logged struct {
	sync.Mutex
	strings.Builder
}

type logger struct{}

func (logger) Printf(_ context.Context, format string, v ...any) {
	logged.Lock()
	defer logged.Unlock()
	fmt.Fprintf(&logged, format+"\n", v...)
}

func TestMain(m *testing.M) {
	redis.SetLogger(logger{})
	os.Exit(m.Run())
}
