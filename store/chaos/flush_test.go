package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestScriptFlush: Redis loses the script every millisecond. There is no error, and every
// call is charged once.
func TestScriptFlush(t *testing.T) {
	server := chaos.StartServer(t)
	keys := keysNamed("key", 4)
	l := startLoad(t, patientStore(t, server), patience, countable, keys, 4, 0)
	for start := time.Now(); time.Since(start) < 2*time.Second; time.Sleep(time.Millisecond) {
		server.Do("SCRIPT", "FLUSH")
	}
	l.end()
	flushed, missed := server.Calls("script|flush"), server.Errors("NOSCRIPT")
	t.Logf("%d times flushed, %d times missed; %v", flushed, missed, l.all())
	if flushed < 200 || missed < 100 {
		t.Errorf("the script was flushed %d times and missed %d times: too few for a proof", flushed, missed)
	}
	wantNoErrors(t, l.all())
	l.wantCharged(t, keys...)
}

// TestFlushAll: Redis loses all buckets twice a second. There is no error, and each loss
// admits at most one more burst.
func TestFlushAll(t *testing.T) {
	server := chaos.StartServer(t)
	limit := ratelimit.PerSecond(20)
	l := startLoad(t, patientStore(t, server), patience, limit, []string{"key"}, 4, time.Millisecond)
	losses := int64(5)
	for range losses {
		time.Sleep(500 * time.Millisecond)
		server.Do("FLUSHALL")
	}
	time.Sleep(100 * time.Millisecond)
	l.end()
	wantNoErrors(t, l.all())
	l.wantAdmitted(t, losses*int64(limit.Rate), "key")
	if over := l.windows["key"].worst(); over < losses*int64(limit.Rate)/2 {
		t.Errorf("losses admitted only %d more tokens: was anything lost?", over)
	}
}
