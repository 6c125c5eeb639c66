// Package rules tests the dashboard and the alert rules of the folder above, by Prometheus' own
// query engine, on what it would have scraped from limiters in simulated time.
package rules
