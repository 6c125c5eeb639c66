// Package interop_test runs what others wrote around a limited API: nginx, haproxy and a
// browser. Its folders do the same with HTTP clients (clients), a parser of structured
// fields (fields) and a validator of OpenAPI (openapi). All are one module of their own, so
// that programs that use keyrate do not need them.
package interop_test
