// Package outage measures an HTTP API while Redis hangs, or while many callers share one key.
package outage
