package chaos_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestHung: Redis hangs, and its connections stay open. A call takes as long as its budget,
// and there are no more goroutines than callers need. When Redis continues, decisions are
// made again. Each call that timed out is charged at most once.
func TestHung(t *testing.T) {
	watch, server := startWatch(t), chaos.StartServer(t)
	proxy := chaos.StartProxy(t, server.Addr, 1)
	const callers = 50
	l := startLoad(t, storeAt(t, proxy), store.DefaultTimeout, countable, []string{"key"}, callers, 10*time.Millisecond)
	l.watch = watch
	time.Sleep(300 * time.Millisecond)
	before, goroutines := proxy.Accepted(), runtime.NumGoroutine()
	server.Hang()
	hung := time.Now()
	time.Sleep(2 * time.Second)
	if state := server.State(); state != 'T' {
		t.Errorf("the process is in state %q while it hangs", state)
	}
	// Decisions from before arrive a little later, and still later after a stall.
	settled := watch.Widen(chaos.Patience(100*time.Millisecond), hung)
	time.Sleep(settled - time.Second)
	during, more := l.between(hung.Add(settled), time.Now()), runtime.NumGoroutine()-goroutines
	server.Resume()
	resumed := time.Now()
	l.untilBack(t, hung, "key")
	l.end()
	t.Logf("%d connections before, %d in all; %d more goroutines; back %v after; %v", before, proxy.Accepted(), more, (l.back(hung, "key") - resumed.Sub(hung)).Round(time.Millisecond), during)
	wantClasses(t, during, store.ClassTimeout, redisstore.ClassConnect)
	watch.wantInBudget(t, during.took)
	if during.answered != count(during.errors) {
		t.Errorf("a Redis that hangs has decided: %v", during)
	}
	// Each connection of the proxy has four goroutines.
	if opened := proxy.Accepted() - before; more > 50+20*5 {
		t.Errorf("%d more goroutines, with %d connections opened", more, opened)
	}
	if back := l.back(hung, "key") - resumed.Sub(hung); back > watch.within(300*time.Millisecond) {
		t.Errorf("back %v after Redis continued", back)
	}
	all := l.all()
	if admitted, owes := l.windows["key"].tokens(), charged(t, patientStore(t, server), "key", countable); owes < admitted || owes > admitted+count(all.errors) {
		t.Errorf("%d calls were admitted and %d had errors, but %d were charged", admitted, count(all.errors), owes)
	}
}
