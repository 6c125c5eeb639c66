// Package report has what all suites share: the command line, the measurements of a run, and
// how they are shown, as tables, goals, JSON lines and plots.
package report
