package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestConnectionsCut: another client closes all connections every 20 ms. A call whose
// connection was closed gets an error and is charged at most once. The next call succeeds.
func TestConnectionsCut(t *testing.T) {
	server := chaos.StartServer(t)
	l := startLoad(t, patientStore(t, server), patience, countable, []string{"key"}, 8, 0)
	cut := int64(0)
	for start := time.Now(); time.Since(start) < time.Second; time.Sleep(20 * time.Millisecond) {
		n, _ := server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").(int64)
		cut += n
	}
	l.end()
	all := l.all()
	t.Logf("%d connections were cut; %v", cut, all)
	if cut < 20 {
		t.Errorf("%d connections were cut: too few for a proof", cut)
	}
	wantClasses(t, all, redisstore.ClassLost, redisstore.ClassConnect)
	if n, most := count(all.errors), int(cut)*8; n > most {
		t.Errorf("%d errors from %d connections that were cut", n, cut)
	}
	if admitted, owes := l.windows["key"].tokens(), charged(t, patientStore(t, server), "key", countable); owes < admitted || owes > admitted+count(all.errors) {
		t.Errorf("%d calls were admitted and %d had errors, but %d were charged", admitted, count(all.errors), owes)
	}
}
