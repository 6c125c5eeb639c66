// Package chaos starts real redis-server processes and subjects them to the faults of
// production: it kills, hangs, restarts and fails over servers, moves slots, slows the
// network down and loses answers. Its tests check the promises of the shared store under
// these faults.
//
//	s := chaos.StartServer(t)             // one redis-server
//	s := chaos.StartSentinel(t)           // a primary, two replicas, three Sentinels
//	c := chaos.StartCluster(t)            // three masters, three replicas
//	p := chaos.StartProxy(t, s.Addr, 1)   // a network in between that the test makes bad
//	k := chaos.NewClock(t, "a.lua+b.lua") // a clock for scripts that the test moves
//
// All servers use loopback, their own ports and folders, and end with the test, by process
// id. If the test fails, it shows their output.
//
// redis-server must be on PATH. Without it the tests are skipped or, with
// KEYRATE_REQUIRE_REDIS=1, fail. The package needs a Unix system, and reads the state of
// processes as Linux shows it.
//
// The tests whose names begin with TestFault are a table of faults. Each fault happens to a
// whole program under load. Controls, which are programs with a known error, must fail.
//
//	go test -run TestFault -v ./...
//
// prints the table. The time limits also hold on a busy machine: stalls are measured, and a
// row that a stall has spoilt runs again. KEYRATE_SEED repeats the order of requests of a
// run.
//
// Other tests are about tokens that are held: holders that are killed, a Redis that hangs or
// loses what is held, replies to settlements that are lost, the keys of a home in a Cluster,
// and nodes of version 8386024, which could not hold any, beside newer ones. Random histories
// of holds must be answered as in memory, or be linearizable.
//
// KEYRATE_FULL=1 runs the longest tests at full length, up to ten minutes each.
//
// This package imports testing and is for tests only.
package chaos
