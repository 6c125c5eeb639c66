package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// publish writes the files that a module proxy serves of m: go.dev/ref/mod#goproxy-protocol.
func (m *sourceModule) publish(proxy, version string, all []*sourceModule) error {
	published, err := m.published(version, all)
	if err != nil {
		return err
	}
	escaped, err := module.EscapePath(m.path)
	if err != nil {
		return err
	}
	dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := zip.Create(&content, module.Version{Path: m.path, Version: version}, m.zipFiles(published)); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	for name, data := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": published, version + ".zip": content.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// published returns go.mod as users get it. A replace directive is ignored in a module
// that somebody requires, so the only ones allowed are those that lead to the modules of
// this repository; and what is required of those must be published.
func (m *sourceModule) published(version string, all []*sourceModule) ([]byte, error) {
	name := path.Join(m.dir, "go.mod")
	data, err := m.file.Format()
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	replaced := map[string]bool{}
	for _, r := range slices.Clone(file.Replace) {
		i := slices.IndexFunc(all, func(o *sourceModule) bool { return o.path == r.Old.Path })
		if i < 0 || r.Old.Version != "" || path.Join(m.dir, r.New.Path) != all[i].dir {
			return nil, fmt.Errorf("%s: replaces %s: users of the module do not get that; only published modules of this repository may be replaced, by their folders", name, r.Old.Path)
		}
		replaced[r.Old.Path] = true
		if err := file.DropReplace(r.Old.Path, r.Old.Version); err != nil { // which empties r
			return nil, err
		}
	}
	for _, r := range slices.Clone(file.Require) {
		switch ours := r.Mod.Path == all[0].path || strings.HasPrefix(r.Mod.Path, all[0].path+"/"); {
		case ours && !replaced[r.Mod.Path]:
			return nil, fmt.Errorf("%s: requires %s without a replace directive: tests here would use a published version; is it in %s?", name, r.Mod.Path, list)
		case ours:
			if err := file.AddRequire(r.Mod.Path, version); err != nil {
				return nil, err
			}
		}
	}
	file.Cleanup()
	return file.Format()
}

// zipFiles are the files of m, with another go.mod and a licence.
func (m *sourceModule) zipFiles(goMod []byte) []zip.File {
	files := []zip.File{memoryFile{"go.mod", goMod}}
	licensed := false
	for _, file := range m.files {
		name := strings.TrimPrefix(file, m.dir+"/")
		if name != "go.mod" {
			files = append(files, diskFile{name, filepath.Join(m.root, filepath.FromSlash(file))})
		}
		licensed = licensed || name == "LICENSE"
	}
	if !licensed { // the go command adds that of the repository
		files = append(files, diskFile{"LICENSE", filepath.Join(m.root, "LICENSE")})
	}
	return files
}

// A diskFile is in the zip as it is in the repository.
type diskFile struct{ name, from string }

func (f diskFile) Path() string                 { return f.name }
func (f diskFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.from) }
func (f diskFile) Open() (io.ReadCloser, error) { return os.Open(f.from) }

// A memoryFile is in the zip with another content.
type memoryFile struct {
	name string
	data []byte
}

func (f memoryFile) Path() string                 { return f.name }
func (f memoryFile) Lstat() (os.FileInfo, error)  { return memoryInfo{f}, nil }
func (f memoryFile) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.data)), nil }

type memoryInfo struct{ file memoryFile }

func (i memoryInfo) Name() string     { return path.Base(i.file.name) }
func (i memoryInfo) Size() int64      { return int64(len(i.file.data)) }
func (memoryInfo) Mode() os.FileMode  { return 0o644 }
func (memoryInfo) ModTime() time.Time { return time.Time{} }
func (memoryInfo) IsDir() bool        { return false }
func (memoryInfo) Sys() any           { return nil }
