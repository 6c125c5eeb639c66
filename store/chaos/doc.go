// Package chaos starts real redis-server processes and does to them what happens
// in production: it kills, hangs, restarts and fails them over, moves slots, slows
// the network down and loses its answers. Its tests hold the shared store to its
// promises under all of that.
//
//	s := chaos.StartServer(t)             // one redis-server
//	s := chaos.StartSentinel(t)           // a primary, two replicas, three Sentinels
//	c := chaos.StartCluster(t)            // three masters, three replicas
//	p := chaos.StartProxy(t, s.Addr)      // a network in between that can be made bad
//	k := chaos.NewClock(t, "take.lua")    // a clock for scripts that the test steers
//
// Everything lives on loopback, in a folder and on ports of its own, and ends with
// the test, by process id. What a server printed is shown if the test fails.
//
// redis-server is looked for on PATH. Where it is missing, tests are skipped, unless
// KEYRATE_REQUIRE_REDIS=1 makes that a failure. The package needs a Unix system,
// and the states of processes are read as Linux shows them.
//
// The tests whose names begin with TestFault are a table of faults, each done to a whole
// program under load, with controls that must be found out:
//
//	go test -run TestFault -v ./...
//
// prints it. Their limits of time hold on a machine that others use, too: what stalls
// cost is measured, and a row that they spoilt is played again. KEYRATE_SEED repeats a
// run's order of requests.
//
// This package imports testing, and is for tests only.
package chaos
