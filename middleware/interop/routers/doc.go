// Package routers tests that package middleware limits requests to the routers that others
// wrote, as docs/doors.md shows it: chi, gorilla/mux and huma.
package routers
