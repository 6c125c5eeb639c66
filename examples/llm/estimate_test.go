package main

import (
	"strings"
	"testing"
)

func TestEstimate(t *testing.T) {
	for body, want := range map[string]int{
		`{"max_tokens":1000}`:                    1019,
		`{"max_tokens":1,"n":1}`:                 23,
		`{"max_tokens":4000,"messages":[]}`:      4033,
		`{"max_tokens":1,"Max_Tokens":2}`:        32, // the API takes the first
		`{"max_tokens":2,"max_tokens":1000}`:     1034,
		`{"prompt":"max_tokens","max_tokens":5}`: 43,
	} {
		if got, err := estimateOf([]byte(body)); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", body, got, err, want)
		}
	}
}

func TestRejectedEstimates(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                         "max_tokens must be from 1 to 4000",
		`{"Max_Tokens":5}`:           "max_tokens must be from 1 to 4000",
		`{"max_tokens":0}`:           "max_tokens must be from 1 to 4000",
		`{"max_tokens":4001}`:        "max_tokens must be from 1 to 4000",
		`{"max_tokens":"5"}`:         "max_tokens must be from 1 to 4000",
		`{"max_tokens":1e3}`:         "max_tokens must be from 1 to 4000",
		`{"max_tokens":5,"n":2}`:     "n must be 1",
		`[{"max_tokens":5}]`:         "JSON object",
		`{"max_tokens":5}{"n":1000}`: "JSON object",
		``:                           "JSON object",
	} {
		if got, err := estimateOf([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v; want %q", body, got, err, want)
		}
	}
}
