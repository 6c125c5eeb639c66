// Package middleware measures the middleware of each library over a bare handler.
package middleware
