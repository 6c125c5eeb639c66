// Package scale simulates what leases do in a fleet: the code of package lease on a simulated clock
// and network, from one node to a thousand.
package scale
