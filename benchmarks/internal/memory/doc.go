// Package memory measures decisions in memory: their time, the weight of a bucket, and pauses.
package memory
