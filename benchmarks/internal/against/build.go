package against

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// probePackages make up the measuring program, in the tree. They
// import keyrate and the standard library only.
var probePackages = []string{"benchmarks/internal/against/probe", "benchmarks/internal/child", "benchmarks/internal/load"}

// build compiles the probe of the tree at root with the keyrate of the tree at target, and
// returns the path of the binary in folder. Programs of different layouts have the same
// functions in another order: where a function lies can cost more than what was changed.
func build(ctx context.Context, root, target, folder string, layout int) (string, error) {
	overlay, err := overlayOf(root, target)
	if err != nil {
		return "", err
	}
	list := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(folder, fmt.Sprintf("probe-%d", layout))
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-overlay", list,
		fmt.Sprintf("-ldflags=-randlayout=%d", layout), "-o", binary, "./"+probePackages[0])
	command.Dir = target
	command.Env = append(os.Environ(), "GOWORK=off")
	_, err = run(command)
	return binary, err
}

// overlayOf returns the overlay with which the packages of the probe at root are part of
// the main module at target, whatever is there: go build then finds keyrate at target.
func overlayOf(root, target string) ([]byte, error) {
	replace := map[string]string{filepath.Join(target, "benchmarks", "go.mod"): ""} // no module of its own
	for _, folder := range probePackages {
		for _, from := range []string{target, root} {
			files, err := filepath.Glob(filepath.Join(from, filepath.FromSlash(folder), "*.go"))
			if err != nil {
				return nil, err
			}
			for _, file := range files {
				to := filepath.Join(target, filepath.FromSlash(folder), filepath.Base(file))
				if from == target {
					replace[to] = "" // not there, unless root has it
				}
				if from == root && !strings.HasSuffix(file, "_test.go") {
					replace[to] = file
				}
			}
		}
	}
	return json.Marshal(map[string]any{"Replace": replace})
}

// checkOut puts a revision of the repository at root into a work tree at folder. The caller
// removes it with the function that it returns.
func checkOut(ctx context.Context, root, revision, folder string) (remove func(), err error) {
	if _, err := git(ctx, root, "worktree", "add", "--detach", "--quiet", folder, revision); err != nil {
		return nil, err
	}
	return func() {
		_, _ = git(context.WithoutCancel(ctx), root, "worktree", "remove", "--force", folder)
	}, nil
}

// git runs git in a folder and returns what it prints, without the last line break.
func git(ctx context.Context, folder string, args ...string) (string, error) {
	return run(exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...))
}

func run(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, stderr.Bytes())
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}
