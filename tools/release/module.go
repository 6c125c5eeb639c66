package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A sourceModule is a module of the repository that is to be published.
type sourceModule struct {
	root  string // the repository
	dir   string // in it, with slashes; "." for its root
	path  string
	file  *modfile.File
	files []string // that git tracks, from the root, without those of nested modules
}

// list is where the modules are named.
const list = "tools/release/modules"

// findModules returns the modules that list publishes. Each module must be in it, so that
// a new one cannot be forgotten.
func findModules(ctx context.Context, root string) ([]*sourceModule, error) {
	listed, err := readList(filepath.Join(root, list))
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, root, nil, "git", "ls-files", "-z", "--cached")
	if err != nil {
		return nil, err
	}
	files := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	dirs := map[string]bool{}
	for _, file := range files {
		if path.Base(file) == "go.mod" && !strings.Contains("/"+file, "/testdata/") {
			dirs[path.Dir(file)] = true
		}
	}
	var modules []*sourceModule
	var faults []error
	byDir := map[string]*sourceModule{}
	for dir := range dirs {
		publish, known := listed[dir]
		switch {
		case !known:
			faults = append(faults, fmt.Errorf("%s: the module %s is missing; add a line with publish or keep", list, dir))
		case publish:
			m := &sourceModule{root: root, dir: dir}
			if err := m.readFile(); err != nil {
				faults = append(faults, err)
				continue
			}
			modules = append(modules, m)
			byDir[dir] = m
		}
	}
	for dir := range listed {
		if !dirs[dir] {
			faults = append(faults, fmt.Errorf("%s: there is no module %s", list, dir))
		}
	}
	for _, file := range files {
		dir := path.Dir(file)
		for !dirs[dir] && dir != "." {
			dir = path.Dir(dir)
		}
		if m := byDir[dir]; m != nil {
			m.files = append(m.files, file)
		}
	}
	slices.SortFunc(modules, func(x, y *sourceModule) int { return strings.Compare(x.dir, y.dir) })
	return modules, errors.Join(faults...)
}

// readList reads which modules are published.
func readList(name string) (map[string]bool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || fields[0][0] == '#':
		case len(fields) == 2 && (fields[0] == "publish" || fields[0] == "keep"):
			listed[fields[1]] = fields[0] == "publish"
		default:
			return nil, fmt.Errorf("%s:%d: must be publish or keep, and a folder", name, n)
		}
	}
	return listed, lines.Err()
}

func (m *sourceModule) readFile() error {
	name := filepath.Join(m.root, m.dir, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if m.file, err = modfile.Parse(name, data, nil); err != nil {
		return err
	}
	m.path = m.file.Module.Mod.Path
	return nil
}

// output runs a command and returns what it prints. Its error holds what it complains of.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}
