// Command release shows that keyrate can be used as its users will get it: without the
// replace directives that hold the modules of this repository together.
//
//	go -C tools/release run . -dry-run
//
// It makes a module proxy of files from what git tracks, for each module that is to be
// published: go.mod without the replace directives and with the version to be released.
// In an empty folder it then builds a program that imports every package of each. Modules
// of others come from the module cache and from GOPROXY.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	root := flag.String("root", "../..", "the repository")
	version := flag.String("version", "v0.0.0-dryrun", "the version that the modules get")
	dryRun := flag.Bool("dry-run", false, "build a program with the modules as they would be published")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := errors.New("only -dry-run is known: publishing is pushing tags, by hand")
	if *dryRun {
		err = check(ctx, *root, *version)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// check makes the proxy and the program, and removes both.
func check(ctx context.Context, root, version string) (err error) {
	modules, err := findModules(ctx, root)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "keyrate-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, m := range modules {
		if err := m.publish(dir+"/proxy", version, modules); err != nil {
			return err
		}
		fmt.Printf("published %s@%s, %d files\n", m.path, version, len(m.files))
	}
	packages, err := build(ctx, dir, version, modules)
	if err != nil {
		return err
	}
	fmt.Printf("built a program that imports %d packages of %d modules\n", packages, len(modules))
	return nil
}
