// Package against compares the keyrate of the working tree with an older revision of it.
//
// Both have the same module path, so each is a program of its own: package probe, compiled
// with each. The two take turns, in pairs of fresh processes; see [Command].
package against
