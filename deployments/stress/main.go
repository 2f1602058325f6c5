// Command stress finds tests that pass on an idle machine alone: it runs every package's tests many
// times with the race detector while every processor is busy, and says which failed and how often. A
// package that fails stops nobody else.
//
//	go run ./stress -count 50 ../pkg ../services/sidecar           # every package of two modules
//	go run ./stress -package ./internal/app -run Drain ../services/load-balancer
//
// Each run is a process of its own, so that one that hangs, panics or leaves something behind is one
// failure and not the end. What a failed run said is kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/internal/command"
)

func main() { command.Main("stress", run) }

// options say what is run, and how.
type options struct {
	modules []string      // their folders
	pattern string        // of packages, in each module
	tests   string        // a regular expression of their names; all when empty
	tags    string        // build tags
	count   int           // runs of each package
	load    int           // processors kept busy meanwhile
	limit   time.Duration // for one run
	out     string        // folder for what failed runs said
}

const (
	maxCount = 100_000
	maxLoad  = 1024
	maxLimit = 24 * time.Hour
)

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("stress", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: stress [flags] MODULE...\nMODULE is the folder of a Go module")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.pattern, "package", "./...", "packages of the modules, as `pattern` of the go command")
	flags.StringVar(&o.tests, "run", "", "run the tests alone whose name fits this regular `expression`")
	flags.StringVar(&o.tags, "tags", "", "build `tags`, separated by commas")
	flags.IntVar(&o.count, "count", 50, "runs of each package")
	flags.IntVar(&o.load, "load", runtime.NumCPU(), "processors kept busy meanwhile; 0 adds no load")
	flags.DurationVar(&o.limit, "limit", 15*time.Minute, "time for one run of a package, which has failed then")
	flags.StringVar(&o.out, "out", "build/stress", "`folder` for what failed runs said")
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
	if o.count < 1 || o.count > maxCount {
		faults = append(faults, fmt.Errorf("-count is %d: want 1 to %d", o.count, maxCount))
	}
	if o.load < 0 || o.load > maxLoad {
		faults = append(faults, fmt.Errorf("-load is %d: want 0 to %d", o.load, maxLoad))
	}
	if o.limit < time.Second || o.limit > maxLimit {
		faults = append(faults, fmt.Errorf("-limit is %v: want 1s to %v", o.limit, maxLimit))
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "nemesis-stress-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	var all []result
	for _, module := range o.modules {
		packages, err := list(ctx, module, o)
		if err != nil && ctx.Err() == nil {
			all = append(all, result{path: module, wanted: o.count, broken: err.Error()})
			fmt.Fprintln(stdout, all[len(all)-1])
		}
		for _, p := range packages {
			if ctx.Err() != nil {
				break
			}
			r := o.stress(ctx, p, scratch)
			fmt.Fprintln(stdout, r)
			all = append(all, r)
		}
	}
	if ctx.Err() != nil {
		fmt.Fprintln(stdout, "interrupted; what was run until then:")
	}
	return errors.Join(ctx.Err(), summary(all, stdout))
}
