// Package http measures a server of net/http on loopback.
package http
