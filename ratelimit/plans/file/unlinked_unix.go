//go:build unix

package file

import (
	"os"
	"syscall"
)

// unlinked reports whether a file has no name left.
func unlinked(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
