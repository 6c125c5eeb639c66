package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

// stallKeys is how many keys are inserted at a time.
const stallKeys = 1_000_000

var stallCase = fmt.Sprintf("worst-stall/%d", stallKeys)

// runStall measures the longest wait of any caller while a million keys come,
// expire, and another million come.
func runStall(ctx context.Context, s *report.Session) error {
	if !s.Wants(stallCase) {
		return nil
	}
	rounds, expiry := 3, time.Second
	if s.Quick {
		rounds, expiry = 1, 300*time.Millisecond
	}
	for n := range rounds {
		for _, l := range s.Selected(library.Libraries) {
			if l.Name == "clock" || l.Name == "reference" { // which forgets nothing
				continue
			}
			s.Logf("memory: %s, %s, round %d of %d", stallCase, l.Name, n+1, rounds)
			child, err := child.Start(ctx, "stall", l.Name, l.Name)
			if err != nil {
				return err
			}
			var found report.Figures
			if err := child.Do(expiry, &found); err != nil {
				return err
			}
			if err := child.Stop(); err != nil {
				return err
			}
			s.Add("memory", stallCase, l.Name, found)
		}
	}
	return nil
}

// A stallWorker has two callers: one brings new keys as quickly as it can, the
// other, a bystander, comes back now and then with keys of its own.
type stallWorker struct{ library library.Library }

func (w *stallWorker) SetUp(args json.RawMessage) error {
	var name string
	if err := json.Unmarshal(args, &name); err != nil {
		return err
	}
	var err error
	w.library, err = library.Named(name)
	return err
}

const (
	bystanderKeys = 1000
	// bystanderPause is shorter than any wait that matters: if a caller holds a lock for
	// longer, the bystander waits for it.
	bystanderPause = 20 * time.Microsecond
)

func (w *stallWorker) Do(args json.RawMessage) (any, error) {
	var expiry time.Duration
	if err := json.Unmarshal(args, &expiry); err != nil {
		return nil, err
	}
	keys := make(load.Stream, (2*stallKeys+bystanderKeys)*load.KeySize)
	for n := range len(keys) / load.KeySize {
		load.PutKey(keys[n*load.KeySize:], n)
	}
	l, err := w.library.Limiter(library.Setting{
		Limit:  library.Limit{Tokens: 1, Per: expiry},
		Keys:   stallKeys + 2*bystanderKeys,
		Forget: expiry,
	})
	if err != nil {
		return nil, err
	}
	runtime.GC()
	start := time.Now()
	done := make(chan struct{})
	var seen waits
	var wg sync.WaitGroup
	wg.Go(func() { seen = bystand(l, keys[2*stallKeys*load.KeySize:], start, done) })
	first, err := insert(l, keys[:stallKeys*load.KeySize], start)
	if err != nil {
		return nil, err
	}
	time.Sleep(expiry * 11 / 10) // until all of them have expired
	second, err := insert(l, keys[stallKeys*load.KeySize:2*stallKeys*load.KeySize], start)
	if err != nil {
		return nil, err
	}
	time.Sleep(expiry * 16 / 10) // until a sweep has had its chance
	close(done)
	wg.Wait()
	return report.Figures{
		"ns":                float64(max(seen.worst, first.worst, second.worst)),
		"growth_ns":         float64(first.worst),
		"recycling_ns":      float64(second.worst),
		"bystander_ns":      float64(seen.worst),
		"waits_above_1ms":   float64(seen.long + first.long + second.long),
		"insertions_per_s":  stallKeys * 2 / (first.took + second.took).Seconds(),
		"bystander_calls":   float64(seen.calls),
		"bystander_mean_ns": float64(seen.took) / float64(seen.calls),
	}, nil
}

// waits are the waits of one caller.
type waits struct {
	calls, long int // long: above a millisecond
	worst, took time.Duration
}

func (w *waits) add(wait time.Duration) {
	w.calls++
	w.took += wait
	w.worst = max(w.worst, wait)
	if wait > time.Millisecond {
		w.long++
	}
}

// insert calls once with every key. Each wait ends where the next begins.
func insert(l library.Limiter, keys load.Stream, start time.Time) (waits, error) {
	var w waits
	denied := 0
	last := time.Since(start)
	for offset := 0; offset < len(keys); offset += load.KeySize {
		if !l.Allow(keys.At(offset)) {
			denied++
		}
		now := time.Since(start)
		w.add(now - last)
		last = now
	}
	if denied > 0 {
		return w, fmt.Errorf("%d of %d new keys were denied", denied, len(keys)/load.KeySize)
	}
	return w, nil
}

// bystand calls every now and then until done.
func bystand(l library.Limiter, keys load.Stream, start time.Time, done <-chan struct{}) waits {
	var w waits
	for offset := 0; ; offset = (offset + load.KeySize) % len(keys) {
		select {
		case <-done:
			return w
		default:
		}
		before := time.Since(start)
		l.Allow(keys.At(offset))
		w.add(time.Since(start) - before)
		time.Sleep(bystanderPause)
	}
}

// stallGoal compares keyrate's worst wait with the machine's own.
func stallGoal(s *report.Session) []report.Goal {
	own, ok := s.Find(stallCase, library.Ours).Median("ns")
	idle, okToo := s.Find(stallCase, "machine").Median("ns")
	if !ok || !okToo {
		return nil
	}
	return []report.Goal{{
		What: "worst wait while " + report.Count(stallKeys) + " keys come and expire",
		Want: "<= 2 ms above the machine's own",
		Got: fmt.Sprintf("%.2f ms above (%.2f, machine %.2f ms; worst round %.2f, %.2f)", (own-idle)/1e6, own/1e6, idle/1e6,
			slices.Max(s.Find(stallCase, library.Ours).Samples["ns"])/1e6, slices.Max(s.Find(stallCase, "machine").Samples["ns"])/1e6),
		Met: own-idle <= 2e6,
	}}
}
