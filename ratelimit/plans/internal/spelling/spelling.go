// Package spelling finds the name that a misspelt one stands for.
package spelling

import "strings"

// Meant returns the name that text resembles; "" if there is none. A text that resembles one
// may be shown: it is no key in a wrong place.
func Meant(text string, names []string) string {
	for _, name := range names {
		if resembles(text, name) {
			return name
		}
	}
	return ""
}

// resembles reports whether a text of letters is the name but for case and one letter in five
// that is added, missing or wrong.
func resembles(text, name string) bool {
	most := (len(name) + 4) / 5
	text = strings.ToLower(text[:min(len(text), len(name)+most+1)])
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyz") != "" {
		return false
	}
	costs := make([]int, len(name)+1)
	for j := range costs {
		costs[j] = j
	}
	for i := range len(text) {
		diagonal := costs[0]
		costs[0] = i + 1
		for j := range len(name) {
			cost := diagonal
			if text[i] != name[j] {
				cost = 1 + min(diagonal, costs[j], costs[j+1])
			}
			diagonal, costs[j+1] = costs[j+1], cost
		}
	}
	return costs[len(name)] <= most
}
