// Command fuzz runs every fuzz target of some modules for a while, one after the other, and says of each
// what came of it.
//
//	go run ./fuzz -for 1h ../pkg ../services/load-balancer       # every target of two modules
//	go run ./fuzz -for 5m -run 'FuzzRequest' ../services/load-balancer
//
// An input that fails is written to the package's testdata/fuzz, where it belongs into the repository: from
// then on every run of the tests tries it. What is found of value besides stays in a folder of the cache, and
// the next run goes on from there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/internal/command"
)

func main() { command.Main("fuzz", run) }

// options say what is run, and how.
type options struct {
	modules []string      // their folders
	total   time.Duration // for all targets together
	names   string        // a regular expression of the targets' names
	cache   string        // folder of what was found
	out     string        // folder of what targets said
}

const (
	leastEach = time.Second // that a target gets
	maxTotal  = 30 * 24 * time.Hour
)

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: fuzz [flags] MODULE...\nMODULE is the folder of a Go module")
		flags.PrintDefaults()
	}
	flags.DurationVar(&o.total, "for", 10*time.Minute, "time for all targets together")
	flags.StringVar(&o.names, "run", "", "run the targets alone whose name fits this regular `expression`")
	flags.StringVar(&o.cache, "cache", "build/fuzz/corpus", "`folder` of what was found of value, for the next run")
	flags.StringVar(&o.out, "out", "build/fuzz", "`folder` for what targets said")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o.modules = flags.Args()
	return o, o.validate()
}

// validate tells all faults at once.
func (o options) validate() error {
	var faults []error
	if len(o.modules) == 0 {
		faults = append(faults, errors.New("no MODULE is named: want the folder of at least one Go module"))
	}
	if o.total < leastEach || o.total > maxTotal {
		faults = append(faults, fmt.Errorf("-for is %v: want %v to %v", o.total, leastEach, maxTotal))
	}
	if _, err := regexp.Compile(o.names); err != nil {
		faults = append(faults, fmt.Errorf("-run is no regular expression: %w", err))
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "nemesis-fuzz-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	targets, err := find(ctx, o)
	if err != nil {
		return err
	}
	each := max(o.total/time.Duration(len(targets)), leastEach)
	fmt.Fprintf(stdout, "%d targets, %v each\n", len(targets), each.Round(time.Second))
	failed := 0
	for _, t := range targets {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r := o.fuzz(ctx, t, each, scratch)
		fmt.Fprintln(stdout, r)
		if !r.ok {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed", failed, len(targets))
	}
	return nil
}
