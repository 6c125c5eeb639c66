// Package load has what every suite sends: keys, and a ResponseWriter to write answers to.
// It imports the standard library only, so that it also compiles against an older keyrate.
package load
