// Package redis measures decisions in Redis, and starts the servers for that.
package redis
