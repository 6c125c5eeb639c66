package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// fileBegins is the form of the first line of a copy: version, sum, nodes. The compressed text
// follows.
const fileBegins = "keyrate table 1 %d %s %d\n"

// writeFile keeps the version of this node in Config.File. The caller has the turn.
func (t *Table) writeFile() {
	if t.config.File == "" {
		return
	}
	c := t.current()
	err := replaceFile(t.config.File, append(fmt.Appendf(nil, fileBegins, c.version, c.sum, t.Nodes()), c.body...))
	t.mu.Lock()
	t.status.FileErr = err
	t.mu.Unlock()
}

// replaceFile writes a file beside the old one, and renames it: a reader sees one of the two.
func replaceFile(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// readFile puts the copy in Config.File in force if it is newer than what this node has. The
// caller has the turn.
func (t *Table) readFile() {
	if t.config.File == "" {
		return
	}
	c, count, err := readCopy(t.config.File)
	if err == nil && c.version > t.current().version {
		if err = t.putInForce(c); err == nil && t.config.Nodes == 0 && count > t.Nodes() {
			t.nodes.mu.Lock()
			t.setNodes(count)
			t.nodes.mu.Unlock()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	t.mu.Lock()
	t.status.FileErr = err
	t.mu.Unlock()
}

var errFile = errors.New("table: Config.File is not a whole copy of a table")

func readCopy(path string) (c *copied, count int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxText))
	if err != nil {
		return nil, 0, err
	}
	line, body, _ := bytes.Cut(data, []byte("\n"))
	var version int64
	var sum string
	if _, err := fmt.Sscanf(string(line)+"\n", fileBegins, &version, &sum, &count); err != nil || version < firstVersion || count < 1 {
		return nil, 0, errFile
	}
	if c, err = openBody(version, sum, body); err != nil {
		return nil, 0, errors.Join(errFile, err)
	}
	return c, count, nil
}
