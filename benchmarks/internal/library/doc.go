// Package library has keyrate and the other limiters in memory, one file each, set up as
// their documentation recommends, and the yardsticks that they are compared with.
package library
