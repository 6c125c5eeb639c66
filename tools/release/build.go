package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// build builds a program in an empty folder that imports every package of the modules, and
// returns how many there are.
func build(ctx context.Context, dir, version string, modules []*sourceModule) (packages int, err error) {
	program := filepath.Join(dir, "program")
	if err := os.Mkdir(program, 0o750); err != nil {
		return 0, err
	}
	var goMod, source, sums strings.Builder
	goMod.WriteString("module example.com/program\n\ngo 1.26.0\n")
	source.WriteString("package main\n\nimport (\n")
	for _, m := range modules {
		fmt.Fprintf(&goMod, "\nrequire %s %s\n", m.path, version)
		// The files of nested modules count for none: go list skips them.
		out, err := output(ctx, filepath.Join(m.root, m.dir), nil, "go", "list", "-f", `{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}`, "./...")
		if err != nil {
			return 0, err
		}
		of := 0
		for name := range strings.FieldsSeq(out) {
			if !strings.Contains(name+"/", "/internal/") {
				fmt.Fprintf(&source, "\t_ %q\n", name)
				of++
			}
		}
		if of == 0 {
			return 0, fmt.Errorf("%s has no package to import: is it to be published?", m.path)
		}
		packages += of
		// What the repository has verified need not be looked up again.
		sum, err := os.ReadFile(filepath.Join(m.root, m.dir, "go.sum"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, err
		}
		sums.Write(sum)
	}
	source.WriteString(")\n\nfunc main() {}\n")
	for name, text := range map[string]string{"go.mod": goMod.String(), "main.go": source.String(), "go.sum": sums.String()} {
		if err := os.WriteFile(filepath.Join(program, name), []byte(text), 0o600); err != nil {
			return 0, err
		}
	}
	env, err := environment(ctx, dir, modules[0].path)
	if err != nil {
		return 0, err
	}
	// Without the paths of this cache, what was built before is built only once.
	if _, err := output(ctx, program, env, "go", "build", "-trimpath", "-o", filepath.Join(dir, "built"), "."); err != nil {
		return 0, err
	}
	// What was built is what was published.
	used, err := output(ctx, program, env, "go", "list", "-m", "-f", "{{.Path}} {{.Version}}{{if .Replace}} replaced{{end}}", "all")
	if err != nil {
		return 0, err
	}
	for _, m := range modules {
		if !strings.Contains("\n"+used, "\n"+m.path+" "+version+"\n") {
			return 0, fmt.Errorf("%s %s was not used, but:\n%s", m.path, version, used)
		}
	}
	return packages, nil
}

// environment makes the go command take our modules from the proxy, and keep nothing of
// them: a version that is never published must not stay in the module cache.
func environment(ctx context.Context, dir, path string) ([]string, error) {
	out, err := output(ctx, dir, nil, "go", "env", "GOPROXY", "GOMODCACHE", "GONOSUMDB", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	before := strings.Split(out, "\n")
	return []string{
		"GOWORK=off",
		"GOFLAGS=" + strings.TrimSpace(before[3]+" -mod=mod -modcacherw"),
		"GOMODCACHE=" + filepath.Join(dir, "cache"),
		"GOPROXY=file://" + filepath.ToSlash(filepath.Join(dir, "proxy")) + ",file://" + filepath.ToSlash(filepath.Join(before[1], "cache", "download")) + "," + before[0],
		"GONOPROXY=none", "GOPRIVATE=",
		"GONOSUMDB=" + strings.Trim(before[2]+","+path+","+path+"/*", ","),
	}, nil
}
