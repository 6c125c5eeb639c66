// Package fleet simulates nodes that lease tokens of one shared store: the code of package lease on
// a simulated clock and network, where nodes pause and die, and requests and answers are late, lost
// or executed twice. It is for tests and benchmarks.
package fleet
