package fleet

import (
	"container/heap"
	"iter"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A World is simulated time: events in their order, and routines, which may wait for later ones.
// All of it runs on the thread of Run.
type World struct {
	now    int64 // in nanoseconds
	seq    uint64
	events events
	idle   []*routine
	all    []*routine
	runs   *routine
}

// An event is due at an instant; those of one instant come in the order in which they were made.
type event struct {
	at  int64
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) } //nolint:errcheck // of this file
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// NewWorld returns a world at the instant 1 s.
func NewWorld() *World { return &World{now: int64(time.Second)} }

// Now returns the true time in nanoseconds.
func (w *World) Now() int64 { return w.now }

// At calls do at an instant, or now if that has passed. It must not wait.
func (w *World) At(at int64, do func()) {
	w.seq++
	heap.Push(&w.events, event{max(at, w.now), w.seq, do})
}

// Run runs the world until an instant.
func (w *World) Run(until int64) {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event) //nolint:errcheck // of this file
		w.now = e.at
		e.do()
	}
	w.now = until
}

// Close ends all routines, whatever they wait for.
func (w *World) Close() {
	for _, r := range w.all {
		_ = store.Try(r.stop) // a job that waits panics
	}
}

// A routine runs one job after the other. While a job waits, the world goes on.
type routine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	job   func()
}

// Go runs a job now, until it waits or ends.
func (w *World) Go(job func()) {
	var r *routine
	if n := len(w.idle); n > 0 {
		r = w.idle[n-1]
		w.idle = w.idle[:n-1]
	} else {
		r = &routine{}
		r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
			for r.yield = yield; ; {
				r.job()
				w.idle = append(w.idle, r)
				if !yield(struct{}{}) {
					return
				}
			}
		})
		w.all = append(w.all, r)
	}
	r.job = job
	w.resume(r)
}

// resume runs a routine until it waits or ends.
func (w *World) resume(r *routine) {
	before := w.runs
	w.runs = r
	r.next()
	w.runs = before
}

// stopped ends a job whose world was closed.
type stopped struct{}

// wait makes the present job wait until the routine is resumed.
func (w *World) wait() {
	if !w.runs.yield(struct{}{}) {
		panic(stopped{})
	}
}
