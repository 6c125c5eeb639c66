package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// checkOutputs returns an error for a file that could not be written after the log was read. Nothing
// that exists changes.
func checkOutputs(o options) error {
	var faults []error
	if o.suggest != "" {
		err := tryNew(o.suggest)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("file %s of -suggest exists, and its limits may be in force: name a new file", o.suggest)
		}
		faults = append(faults, err)
	}
	for _, picture := range []string{o.svg, o.png} {
		if picture == "" {
			continue
		}
		err := tryNew(picture)
		if errors.Is(err, fs.ErrExist) {
			if there, fault := os.Stat(picture); fault == nil && !there.Mode().IsRegular() { // to open a pipe may wait for ever
				faults = append(faults, fmt.Errorf("%s is no regular file: name one, or a new one", picture))
				continue
			}
			var file *os.File
			if file, err = os.OpenFile(picture, os.O_WRONLY, 0); err == nil {
				err = file.Close()
			}
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// tryNew creates a file that does not exist, and removes it.
func tryNew(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(name))
}
