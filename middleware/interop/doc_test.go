// Package interop_test runs what others have written around and against a limited API:
// nginx, haproxy, a browser, and HTTP clients with their own retries. It is a module of
// its own, so that programs that use keyrate do not need them.
package interop_test
