// Package serve is what the example programs share: flags, signals, a server that lets
// calls finish, and callers that print what they are answered. A program of your own has
// its own forms of these.
package serve
