// Command images makes the container images of this repository's programs without Docker: each is
// one static binary, started as user 65532. Images become docker-archives in build/images, for the
// local cluster, or are pushed to a registry, for a cluster of one's own, for amd64 and arm64 under one tag.
// Beside each stands what it consists of (SPDX); what was pushed is written to a file by digest, signed with
// a key that is given, and checked, in cosign's format.
//
//	go run ./images                                    # all, into build/images/NAME.tar and NAME.ARCH.spdx.json
//	go run ./images load-balancer                      # one
//	go run ./images -push registry.example.com/team    # registry.example.com/team/load-balancer:dev, …
//	go run ./images -sign -key cosign.key              # what was pushed last, by digest
//	go run ./images -verify -key cosign.pub
package main

import (
	"context"
	"errors"
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
	arch := flags.String("arch", "", "processors that the images are for, as Go names them, with commas; when empty this machine's for archives, amd64,arm64 for a push")
	digests := flags.String("digests", "", "file with the addresses by digest of what was pushed; digests of -out when empty")
	signs := flags.Bool("sign", false, "sign what was pushed, and how it was made, with the private key")
	verifies := flags.Bool("verify", false, "check what was pushed, and how it was made, against the public key")
	key := flags.String("key", "", "file with the key in PEM; when empty COSIGN_PRIVATE_KEY, to verify COSIGN_PUBLIC_KEY")
	builder := flags.String("builder", defaultBuilder, "address that stands for who builds, in the provenance")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *signs && *verifies || (*signs || *verifies) && o.registry != "" {
		return errors.New("-push, -sign and -verify are three steps: name one of them")
	}
	if o.archs = strings.FieldsFunc(*arch, func(r rune) bool { return r == ',' }); len(o.archs) == 0 {
		o.archs = []string{runtime.GOARCH}
		if o.registry != "" {
			o.archs = []string{"amd64", "arm64"}
		}
	}
	if o.registry == "" && len(o.archs) > 1 {
		return fmt.Errorf("-arch %s: an archive is for one processor; several are for -push", *arch)
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
	if o.digests = *digests; o.digests == "" {
		o.digests = filepath.Join(o.out, "digests")
	}
	switch {
	case *signs:
		return signAll(ctx, o.digests, *key, *builder, names(flags.Args(), chosen), stdout)
	case *verifies:
		return verifyAll(ctx, o.digests, *key, names(flags.Args(), chosen), stdout)
	}
	return makeAll(ctx, o, chosen, stdout)
}

// names are those that were asked for; none means all that were pushed.
func names(asked []string, chosen []source) []string {
	if len(asked) == 0 {
		return nil
	}
	all := make([]string, len(chosen))
	for i, s := range chosen {
		all[i] = s.name
	}
	return all
}
