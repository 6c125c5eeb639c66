package ratelimit

import "testing"

// TestTableLooksUnderItsLock: between a look at what is required of policies and the new
// content, nothing else may be required, nor another content put in force.
func TestTableLooksUnderItsLock(t *testing.T) {
	policy := mustPolicy(PerSecond(1))
	table, err := NewTable(TableConfig{Default: policy})
	if err != nil {
		t.Fatal(err)
	}
	looked := map[string]int{}
	during := ""
	locked := func() {
		looked[during]++
		if table.mu.TryLock() {
			table.mu.Unlock()
			t.Errorf("%s looks without the lock", during)
		}
	}
	during = "With"
	if err := table.require(func(*Policy) error { locked(); return nil }); err != nil {
		t.Fatal(err)
	}
	during = "Replace"
	if err := table.Replace(TableConfig{Default: policy}); err != nil {
		t.Fatal(err)
	}
	during = "the last look"
	if _, err := table.replace(TableConfig{Default: policy}, func(*tableContent) error { locked(); return nil }); err != nil {
		t.Fatal(err)
	}
	if looked["With"] != 1 || looked["Replace"] != 1 || looked["the last look"] != 2 {
		t.Errorf("looked %v", looked)
	}
}
