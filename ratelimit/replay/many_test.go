package replay_test

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// TestManyLines reads a million lines in the Common format, or as many as KEYRATE_REPLAY_LINES says.
// A tenth as many keys make ten requests each: one key in a thousand in the same second, the others an
// hour apart.
func TestManyLines(t *testing.T) {
	testkit.Long(t, "needs seconds of CPU")
	keys := 100_000
	if text := os.Getenv("KEYRATE_REPLAY_LINES"); text != "" {
		lines, err := strconv.Atoi(text)
		if err != nil || lines < 10_000 {
			t.Fatalf("KEYRATE_REPLAY_LINES is %q: must be a number of at least 10000", text)
		}
		keys = lines / 10_000 * 1000
	}
	in, out := io.Pipe()
	go func() { out.CloseWithError(writeMany(out, keys)) }()
	began := time.Now()
	reader, err := replay.NewReader(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Add("many", in); err != nil {
		t.Fatal(err)
	}
	log, err := reader.Log()
	if err != nil {
		t.Fatal(err)
	}
	if s := log.Summary(); s.Requests != int64(10*keys) || s.Keys != keys || s.BrokenLines != 0 {
		t.Fatalf("%+v", s)
	}
	t.Logf("read and sorted after %v", time.Since(began))
	config, promises, err := log.Suggest(time.Second, 999)
	if err != nil || len(promises) != 1 || promises[0].Limit.Rate != 1 || promises[0].Denied != keys/1000 {
		t.Fatal(promises, err)
	}
	outcomes, err := log.Replay(t.Context(), config.Default, ratelimit.PerSecond(10))
	if err != nil {
		t.Fatal(err)
	}
	if o := outcomes[0]; o.KeysDenied != keys/1000 || o.Denied != int64(9*keys/1000) || outcomes[1].Denied != 0 {
		t.Errorf("%d requests of %d keys are denied, and %d", o.Denied, o.KeysDenied, outcomes[1].Denied)
	}
	demands, err := log.Rates(24 * time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	// Ten requests within nine hours: 10 <= rate + rate*9/24.
	if most, _ := demands[0].Smallest(999); most != 8 {
		t.Errorf("99.9 %% of keys need %d per day, want 8", most)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.Logf("done after %v, with %d MiB from the system", time.Since(began), memory.Sys>>20)
}

func writeMany(to io.Writer, keys int) error {
	w := bufio.NewWriterSize(to, 1<<16)
	var line []byte
	for round := range 10 {
		for key := range keys {
			at := day.Add(time.Duration(key%3600) * time.Second)
			if key%1000 > 0 {
				at = at.Add(time.Duration(round) * time.Hour)
			}
			line = append(line[:0], "10."...)
			line = strconv.AppendInt(line, int64(key>>16), 10)
			line = append(line, '.')
			line = strconv.AppendInt(line, int64(key>>8&255), 10)
			line = append(line, '.')
			line = strconv.AppendInt(line, int64(key&255), 10)
			line = append(line, " - - ["...)
			line = at.AppendFormat(line, "02/Jan/2006:15:04:05 -0700")
			line = append(line, `] "GET /v1/things HTTP/1.1" 200 1234`+"\n"...)
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}
