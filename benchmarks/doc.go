// Command benchmarks runs keyrate and other limiters on the same work, in one run, and
// prints how they compare; or it compares keyrate with an older revision of itself:
//
//	go -C benchmarks run . memory|middleware|http|redis|outage|scale ... [-quick] [-json FILE] [-plot DIR]
//	go -C benchmarks run . doors [-quick] [-json FILE]
//	go -C benchmarks run . against REV [memory|middleware|http ...]
//
// A suite is a kind of work; each is a package in internal, of the same name. Every library
// works in a child process of its own, so that no heap disturbs another. The children take
// turns within each round, and the report has the medians of all rounds. README.md says how
// to read it. The suite doors is in the module of that name. Package against does the last command, package report prints and draws.
package main
