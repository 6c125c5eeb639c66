//go:build !unix

package file

import "os"

// unlinked is for systems that can mount a file alone.
func unlinked(os.FileInfo) bool { return false }
