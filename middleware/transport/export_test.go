package transport

import "slices"

// Vendors returns who has a row in the table of dialects, Families how many limits
// there are in it, and Names the headers of all of them.
func Vendors() (names []string) {
	for _, row := range slices.Concat(dialects, vendors) {
		names = append(names, row.who)
	}
	return names
}

func Sources() (urls []string) {
	for _, row := range slices.Concat(dialects, vendors) {
		urls = append(urls, row.source)
	}
	return urls
}

func Families() (n, most int) { return len(spoken.families), maxFamilies }

func Names() (names []string) {
	for name := range spoken.index {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Twice returns the headers that rows use for different limits.
func Twice() (names []string) {
	first := make(map[string]int)
	for _, row := range slices.Concat(dialects, vendors) {
		for _, f := range row.limits {
			for as, of := range f.expand() {
				for _, name := range of {
					if was, ok := first[name]; ok && was != as {
						names = append(names, name)
					}
					first[name] = as
				}
			}
		}
	}
	return names
}
