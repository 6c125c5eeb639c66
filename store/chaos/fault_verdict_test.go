package chaos_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
)

// wants are the promises of a row of the table. The zero value of a field promises nothing.
// Every row promises that no error reaches a caller, and that as much is admitted as should
// be, and no more.
type wants struct {
	Slowest    time.Duration
	Slow       int           // calls that take longer than 10 ms, at most
	Local      time.Duration // from the fault to the first decision without the shared store
	Back       time.Duration // from the end of the fault to the first decision with it
	Goroutines int           // more than before the fault
	Classes    []string      // OnChange names one of these, and no other
	Stays      bool          // OnChange is not called
	Few        int           // calls that Redis failed before it counted as down, at most
	Gap        time.Duration // the longest time in which a key is admitted nothing
	Extra      int           // tokens for each key, besides those under way when data was lost
	Ledger     any           // the Server or Cluster with the ledger, which is charged what was admitted
	Twice      bool          // calls whose answers were lost while others of the key were under way may be charged twice
}

// budget is the time of a request: that of one decision, and 20 ms for the rest.
const budget = store.DefaultTimeout + 20*time.Millisecond

// slow is a longer time than a decision should take.
const slow = 10 * time.Millisecond

// slowAllowed returns how many calls may be slow when Redis hangs: those of one budget and
// three more, plus a fifth.
func slowAllowed(keys int) int {
	return int(1.2 * (float64(perKey*keys)*store.DefaultTimeout.Seconds() + 3))
}

// A violation is a broken promise.
type violation struct{ kind, text string }

// A verdict is the result of a bout: a row of figures, and the broken promises.
type verdict struct {
	figures    figures
	violations []violation
	stalled    time.Duration // the longest stall of the machine
}

func (v *verdict) add(kind, format string, args ...any) {
	v.violations = append(v.violations, violation{kind, fmt.Sprintf(format, args...)})
}

// broke reports whether a promise of a kind was broken.
func (v *verdict) broke(kind string) bool {
	return slices.ContainsFunc(v.violations, func(one violation) bool { return one.kind == kind })
}

// inPeace plays a bout and fails the test for each broken promise. If the machine stalled
// and the stall may have broken them all, inPeace plays the bout again: at most three times.
// A stall never excuses what was admitted or charged.
func inPeace(t *testing.T, play func(t *testing.T) (*bout, wants)) {
	t.Helper()
	for try := 1; ; try++ {
		b, w := play(t)
		v := b.judge(w)
		if try < 3 && v.spoilt() {
			t.Logf("the machine stalled for %v; once more, for: %v", v.stalled, v.violations)
			b.chain.close(t)
			continue
		}
		b.report(v.figures)
		for _, one := range v.violations {
			t.Errorf("%s: %s", one.kind, one.text)
		}
		return
	}
}

// spoilt reports whether the machine stalled and promises were broken, all of kinds that a
// stall may break.
func (v *verdict) spoilt() bool {
	return len(v.violations) > 0 && v.stalled > slow && !v.broke("over") && !v.broke("charged") && !v.broke("errors")
}

// wantBroken is for the controls: the same judge must find a broken promise. It returns
// false if the bout must be played again because the machine stalled; not if it is the last.
func (b *bout) wantBroken(w wants, kind string, last bool) bool {
	b.t.Helper()
	return b.foundOut(b.judge(w), kind, last)
}

// foundOut is wantBroken for a verdict.
func (b *bout) foundOut(v *verdict, kind string, last bool) bool {
	b.t.Helper()
	v.figures.control = kind
	found := v.broke(kind) && !v.broke("witness")
	if !found && !last && v.stalled > slow {
		b.chain.close(b.t)
		return false
	}
	b.report(v.figures)
	if !found {
		b.t.Errorf("the control keeps every promise of kind %q: %v", kind, v.violations)
	}
	return true
}

// judge compares a finished bout with its promises.
func (b *bout) judge(w wants) *verdict {
	b.t.Helper()
	v := &verdict{figures: figures{row: b.row, name: b.name, before: b.before, most: b.most, after: b.after}}
	v.violations = append(v.violations, b.lacking...)
	v.stalled = machine().Worst(b.fire.all()[0].sent, time.Now())
	b.judgeTimes(v, w)
	b.judgeCounts(v, w)
	b.judgeSwitch(v, w)
	if w.Ledger != nil {
		b.judgeLedger(v, w)
	}
	// During a stall requests pile up, each with a connection of its own.
	piled := int(2 * v.figures.stalled.Seconds() * float64(perKey*len(b.fire.keys)))
	if w.Goroutines > 0 && b.most > b.before+w.Goroutines+piled {
		v.add("goroutines", "there were %d goroutines, and %d before; want %d more at most, and %d that a stall may have piled up", b.most, b.before, w.Goroutines, piled)
	}
	return v
}

// judgeTimes checks the duration of requests, and that none failed.
func (b *bout) judgeTimes(v *verdict, w wants) {
	f := &v.figures
	wrong := map[string]int{}
	for _, one := range b.fire.all() {
		total, stalled := one.took()
		f.slowest, f.stalled = max(f.slowest, total), max(f.stalled, stalled)
		if total > chaos.Patience(slow)+2*stalled {
			f.slow++
		}
		if w.Slowest > 0 && total > chaos.Patience(w.Slowest)+2*stalled {
			v.add("slowest", "a request for %s took %v, %v after the fault, while the machine stalled for %v; want %v", one.key, total.Round(time.Millisecond), one.sent.Sub(b.fault).Round(time.Millisecond), stalled.Round(time.Millisecond), w.Slowest)
		}
		if one.wrong() {
			wrong[fmt.Sprintf("status %d, class %q, %v", one.status, one.class, one.err)]++
			f.errors++
		}
	}
	if n := b.chain.faultCount(); n > f.errors {
		f.errors = n
	}
	if f.errors > 0 {
		v.add("errors", "%d requests had an error: %v", f.errors, wrong)
	}
	if w.Slow > 0 && f.slow > w.Slow {
		v.add("slow", "%d requests took longer than %v; want %d at most", f.slow, slow, w.Slow)
	}
}

// judgeSwitch checks the change to local decisions and back.
func (b *bout) judgeSwitch(v *verdict, w wants) {
	f := &v.figures
	if at := b.fire.first(b.fault, store.FromShare); !at.IsZero() {
		f.local = at.Sub(b.fault)
	}
	stalled := machine().Worst(b.fault, b.fault.Add(w.Local))
	if limit := chaos.Patience(w.Local) + 2*stalled; w.Local > 0 && (f.local == 0 || f.local > limit) {
		v.add("local", "the first local decision came %v after the fault (0: none); want %v at most", f.local, limit)
	}
	if b.back.IsZero() {
		v.add("back", "the shared store does not decide any more")
	} else {
		f.back = b.back.Sub(b.well)
	}
	stalled = machine().Worst(b.well, b.well.Add(w.Back))
	if limit := chaos.Patience(w.Back) + 2*stalled; w.Back > 0 && f.back > limit {
		v.add("back", "the shared store decides again %v after the fault; want %v at most", f.back, limit)
	}
	all := b.chain.transitions()
	changes := slices.DeleteFunc(slices.Clone(all), byStall)
	f.changes, f.classes = len(all), named(all)
	for _, class := range named(changes) {
		if !slices.Contains(w.Classes, class) && w.Classes != nil {
			v.add("class", "OnChange named the class %q; want one of %q", class, w.Classes)
		}
	}
	if w.Classes != nil && len(f.classes) == 0 {
		v.add("class", "OnChange named no class; want one of %q", w.Classes)
	}
	if n := b.failedFirst(); w.Few > 0 && n > w.Few {
		v.add("few", "%d decisions failed before the shared store counted as down; want at most %d", n, w.Few)
	}
	if w.Stays && len(changes) > 0 {
		v.add("class", "OnChange got %v; want no call", changes)
	}
	if n := len(all); n > 0 && all[n-1].Down {
		v.add("back", "at the end the shared store counts as down: %v", all[n-1])
	}
}

// failedFirst returns how many calls the shared store failed before it counted as down:
// three, and those that were sent after the third had failed.
func (b *bout) failedFirst() (n int) {
	for _, change := range b.chain.transitions() {
		if !change.Down || change.At.Before(b.fault) {
			continue
		}
		var third time.Time
		return b.chain.tap.count(func(one trip) bool { // in the order in which they came
			if one.class == "" || one.sent.Before(b.fault) || one.came.After(change.At) {
				return false
			}
			if n++; n == 3 {
				third = one.came
			}
			return n <= 3 || one.sent.After(third)
		})
	}
	return 0
}

// byStall reports whether a stall of the machine made calls time out, so that the shared
// store counted as down.
func byStall(c mirror.Change) bool {
	went := c.At.Add(-c.Took)
	return c.Class == store.ClassTimeout && machine().Worst(went.Add(-4*store.DefaultTimeout), went) > store.DefaultTimeout/3
}

// judgeCounts checks how much was admitted.
func (b *bout) judgeCounts(v *verdict, w wants) {
	f := &v.figures
	extra := b.extra()
	under := map[string][2]int{} // by part of the bout: what was admitted, and the ideal
	for _, key := range faultKeys() {
		var offered int
		var calls []span
		for _, one := range b.fire.all() {
			if one.key != key {
				continue
			}
			offered++
			if one.admitted() {
				calls = append(calls, span{one.sent, one.end()})
			}
		}
		if offered == 0 || len(calls) == 0 {
			v.add("under", "key %s: of %d requests %d were admitted", key, offered, len(calls))
			f.offered += offered
			continue
		}
		slices.SortFunc(calls, func(a, b span) int { return a.from.Compare(b.from) })
		last := slices.MaxFunc(calls, func(a, b span) int { return a.to.Compare(b.to) }).to
		bound := int(faultBurst+faultRate*last.Sub(calls[0].from).Seconds()) + extra[key] + w.Extra
		f.offered, f.admitted, f.bound, f.extra = f.offered+offered, f.admitted+len(calls), f.bound+bound, f.extra+extra[key]
		if offered < 2*(bound-extra[key]-w.Extra) {
			v.add("offered", "key %s: %d requests are less than twice the limit, %d: too few for a proof", key, offered, bound)
		}
		over := worstOver(calls)
		f.worst = max(f.worst, over)
		aged := b.aged(key)
		if over > float64(extra[key]+w.Extra)+aged {
			v.add("over", "key %s: in one window %.3f tokens too many were admitted; want %d at most, which were under way when data was lost, and %.3f", key, over, extra[key]+w.Extra, aged)
		}
		if gap := longestGap(calls); w.Gap > 0 && gap > chaos.Patience(w.Gap)+2*machine().Worst(calls[0].from, last) {
			v.add("gap", "key %s: nothing was admitted for %v; want %v at most", key, gap, w.Gap)
		}
		b.judgeParts(v, key, calls, under)
	}
	for part, n := range under {
		if n[0]*100 < n[1]*95 {
			v.add("under", "%s the fault %d requests were admitted; want 95%% of %d", part, n[0], n[1])
		}
	}
}

// aged returns how many more tokens a key may be admitted. A known debt is too small by the
// duration of the trip that returned it. So whenever Redis has lost its data, or the node
// decides by its knowledge, a call may come early by that time: by a small part of a token.
func (b *bout) aged(key string) (tokens float64) {
	const rounding = 1e-5 // a few microseconds
	at := b.switches(key)
	for _, loss := range b.losses {
		at = append(at, loss.to)
	}
	for _, one := range at {
		tokens += rounding + faultRate*b.chain.lastTrips(key, one).Seconds()
	}
	return tokens + rounding
}

// switches returns the times at which local decisions for a key began.
func (b *bout) switches(key string) (at []time.Time) {
	alone := false
	for _, one := range b.fire.all() {
		if one.key != key {
			continue
		}
		was := alone
		if alone = one.from(store.FromShare); alone && !was {
			at = append(at, one.end())
		}
	}
	return at
}

// longestGap returns the longest time between two admitted calls.
func longestGap(calls []span) (longest time.Duration) {
	for i := 1; i < len(calls); i++ {
		longest = max(longest, calls[i].from.Sub(calls[i-1].to))
	}
	return longest
}

// judgeParts checks what was admitted outside of the fault, and adds it to under.
func (b *bout) judgeParts(v *verdict, key string, calls []span, under map[string][2]int) {
	const spacing = time.Second / perKey // a token may have to wait for the next request
	part := func(name string, from, to time.Time, burst float64) {
		ideal := int(burst + faultRate*(to.Sub(from)-spacing*time.Duration(b.fire.together)).Seconds())
		n := 0
		for _, call := range calls {
			if !call.from.Before(from) && call.from.Before(to) {
				n++
			}
		}
		under[name] = [2]int{under[name][0] + n, under[name][1] + ideal}
		if n < int(0.95*float64(ideal))-1 {
			v.add("under", "key %s: %s the fault %d requests were admitted; want %d", key, name, n, ideal)
		}
	}
	if b.fault.After(calls[0].from) { // the fault may last from the start
		part("before", calls[0].from, b.fault, faultBurst)
	}
	if !b.back.IsZero() {
		// Tokens that were charged during the fault without an admission are back after one refill.
		full := faultBurst / faultRate * float64(time.Second)
		part("after", b.back.Add(time.Duration(full)), b.back.Add(settled), 0)
	}
}

var faultRate, faultBurst = float64(faultLimit.Rate) / faultLimit.Period.Seconds(), float64(max(faultLimit.Burst, faultLimit.Rate))

// A span is the time in which a call was admitted.
type span struct{ from, to time.Time }

// worstOver returns how many calls are above the bound in the worst window. The calls are
// in the order of their start.
func worstOver(calls []span) (worst float64) {
	for i := range calls {
		rest := slices.Clone(calls[i:])
		slices.SortFunc(rest, func(a, b span) int { return a.to.Compare(b.to) })
		for n, call := range rest {
			worst = max(worst, float64(n+1)-faultBurst-faultRate*call.to.Sub(calls[i].from).Seconds())
		}
	}
	return worst
}

// judgeLedger checks what Redis charged: one token for each admitted call, and at most one
// for a call without an answer. All calls of the ledger are admitted, by Redis or locally.
func (b *bout) judgeLedger(v *verdict, w wants) {
	f := &v.figures
	for _, one := range b.fire.all() {
		if one.key != ledger {
			continue
		}
		if one.admitted() {
			f.ledger++
		} else {
			v.add("under", "a call of the ledger was denied with status %d", one.status)
		}
	}
	f.charged = charged(b.t, patientStore(b.t, w.Ledger), ledger, countable)
	if b.chain.tap != nil {
		f.unknown = b.chain.tap.count(func(one trip) bool { return one.key == ledger && one.unknown })
	}
	lost := b.extra()[ledger]
	twice := 0
	if w.Twice {
		twice = f.unknown
	}
	if f.ledger == 0 || f.charged < f.ledger-lost || f.charged > f.ledger+twice {
		v.add("charged", "%d calls were admitted and %d charged, while %d had no answer and %d were under way when data was lost", f.ledger, f.charged, f.unknown, lost)
	}
}

// figures are a row of the printed table.
type figures struct {
	row, name, control            string
	offered, admitted, bound      int
	extra                         int
	worst                         float64
	slowest, stalled, local, back time.Duration
	slow, errors                  int
	before, most, after           int
	changes                       int
	classes                       []string
	ledger, charged, unknown      int
}

const figuresHead = "row  fault                                          offered  admitted  bound (extra)  over  slowest (stall)  >10ms  errors  local   back   goroutines     changes  ledger/charged/unknown  classes"

func (f figures) String() string {
	ms := func(d time.Duration) string {
		if d == 0 {
			return "-"
		}
		return fmt.Sprint(d.Round(time.Millisecond))
	}
	name := f.name
	if f.control != "" {
		name = "CONTROL " + name + ": breaks " + f.control
	}
	return fmt.Sprintf("%-4s %-46s %7d  %8d  %5d (%5d)  %5.2f %7s %7s  %5d  %6d  %6s %6s  %3d %3d %3d    %7d  %6d/%6d/%6d   %s",
		f.row, name, f.offered, f.admitted, f.bound, f.extra, f.worst, ms(f.slowest), ms(f.stalled), f.slow, f.errors, ms(f.local), ms(f.back),
		f.before, f.most, f.after, f.changes, f.ledger, f.charged, f.unknown, strings.Join(f.classes, " "))
}

func byRow(a, b figures) int {
	return cmp.Or(cmp.Compare(len(a.row), len(b.row)), cmp.Compare(a.row, b.row), cmp.Compare(a.control, b.control), cmp.Compare(a.name, b.name))
}
