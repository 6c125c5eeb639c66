package redis

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A placement says on which cores Redis and the callers run. Where this program
// may use one core only, they share it.
type placement struct {
	redis, callers int
	apart          bool
}

// place chooses a core for Redis and another one for the callers, for all libraries alike.
func place() placement {
	cores := permittedCores()
	if len(cores) < 2 {
		return placement{}
	}
	return placement{redis: cores[0], callers: cores[1], apart: true}
}

func (p placement) String() string {
	if !p.apart {
		return "Redis and the callers SHARE their cores: there are no two to pin them to"
	}
	return fmt.Sprintf("Redis on core %d, the callers on core %d", p.redis, p.callers)
}

// pool is how many connections a client of go-redis in a process of callers opens by default.
func (p placement) pool(cores int) int {
	if p.apart {
		cores = 1
	}
	return 10 * cores
}

// on calls start such that the programs it starts run on a core.
func (p placement) on(core int, start func() error) error {
	if !p.apart {
		return start()
	}
	runtime.LockOSThread() // programs inherit the cores of the thread that starts them
	restore, err := pinThread(core)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("cannot run on core %d: %w", core, err)
	}
	defer func() {
		if restore() == nil { // else the thread ends with the goroutine
			runtime.UnlockOSThread()
		}
	}()
	return start()
}

// permittedCores returns the numbers of the cores that this process may use.
func permittedCores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cores []int
	for core := 0; len(cores) < set.Count(); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores
}

// pinThread moves the calling thread to a core. restore lets it use those from before.
func pinThread(core int) (restore func() error, err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, err
	}
	return func() error { return unix.SchedSetaffinity(0, &before) }, nil
}
