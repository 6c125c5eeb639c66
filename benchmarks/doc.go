// Command benchmarks runs keyrate and other limiters on the same work, in one
// run, and says how they compare.
//
//	go -C benchmarks run . memory|middleware|http|redis|outage ... [-quick] [-json FILE] [-plot DIR]
//
// A [suite] is a kind of work. Every library works in a child process of its own,
// so that no heap disturbs another; the children take turns within each round,
// and what is reported is the median of the rounds. README.md says how to read it.
package main
