// Command images makes the container images of this repository's programs without Docker: each is
// one static binary, started as user 65532. Images become docker-archives in build/images, for the
// local cluster, or are pushed to a registry, for a cluster of one's own.
//
//	go run ./images                                    # all, into build/images/NAME.tar
//	go run ./images load-balancer                      # one
//	go run ./images -push registry.example.com/team    # registry.example.com/team/load-balancer:dev, …
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/nemesis-scaling/nemesis/deployments/internal/command"
	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

func main() { command.Main("images", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: images [flags] [NAME...]\nNAME is one of %s; all of them when none is given\n", strings.Join(known(), ", "))
		flags.PrintDefaults()
	}
	root := flags.String("repository", "", "the repository's root; found from the current folder when empty")
	flags.StringVar(&o.out, "out", "", "folder for NAME.tar; build/images of the repository when empty")
	flags.StringVar(&o.tag, "tag", "dev", "tag of the images")
	flags.StringVar(&o.registry, "push", "", "push to this registry and path, as registry.example.com/team, instead of writing archives")
	flags.StringVar(&o.arch, "arch", runtime.GOARCH, "processor that the images are for, as Go names it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		return err
	}
	if *root == "" {
		*root = "."
	}
	if o.root, err = repository(*root); err != nil {
		return err
	}
	if o.stamp, err = gobuild.ReadStamp(ctx, o.root); err != nil {
		return err
	}
	if o.out == "" {
		o.out = filepath.Join(o.root, "build", "images")
	}
	return makeAll(ctx, o, chosen, stdout)
}
