// Package child runs the work of one library in a child process: the program starts itself
// again, sends orders as lines of JSON on standard input, and reads an answer for each.
package child
