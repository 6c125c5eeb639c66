package main

import (
	"maps"
	"slices"
	"strings"
)

// skippedAlways returns the tests, with their packages, that were skipped and in no run
// passed or failed. results has a line for each test of each run.
func skippedAlways(results string) []string {
	skipped, ran := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(results) {
		action, test, _ := strings.Cut(strings.TrimSpace(line), " ")
		if test = strings.Replace(test, " ", ".", 1); action == "skip" {
			skipped[test] = true
		} else {
			ran[test] = true
		}
	}
	maps.DeleteFunc(skipped, func(test string, _ bool) bool { return ran[test] })
	return slices.Sorted(maps.Keys(skipped))
}
