// Command lanes runs targets of the Makefile side by side: those of one lane one after another, the
// lanes beside each other. The last lane has the machine; the others take what it leaves.
//
//	go run ./lanes "lint unit" test-cluster
//
// What each says comes whole and in the order of the arguments, as soon as all before it have ended,
// and stands in a file of its own. One that fails stops no other. A signal to end is passed on, and
// waited for: what a target has started it takes down itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/nemesis-scaling/nemesis/deployments/internal/command"
)

func main() { command.Main("lanes", run) }

const (
	maxLanes = 8
	usage    = "usage: lanes [flags] \"TARGET...\" ...\neach argument is a lane, of targets that run one after another"
)

// options say what is run, and by what.
type options struct {
	make  string // the program
	out   string // folder for what the targets say
	lanes [][]string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("lanes", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.make, "make", "make", "`program` that makes a target")
	flags.StringVar(&o.out, "out", "build/test", "`folder` for what the targets say")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	for _, lane := range flags.Args() {
		o.lanes = append(o.lanes, strings.Fields(lane))
	}
	return o, o.validate()
}

// target is a name that is safe as the name of a file too.
var target = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// validate tells all faults at once.
func (o options) validate() error {
	var faults []error
	if len(o.lanes) == 0 || len(o.lanes) > maxLanes {
		faults = append(faults, fmt.Errorf("%d lanes are named: want 1 to %d", len(o.lanes), maxLanes))
	}
	seen := map[string]bool{}
	for i, lane := range o.lanes {
		if len(lane) == 0 {
			faults = append(faults, fmt.Errorf("lane %d is empty: want at least one target", i+1))
		}
		for _, name := range lane {
			if !target.MatchString(name) || seen[name] {
				faults = append(faults, fmt.Errorf("target %q is not allowed: want a name as test-cluster, each of them once", name))
			}
			seen[name] = true
		}
	}
	return errors.Join(faults...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	parts, err := newParts(o)
	if err != nil {
		return err
	}
	for i := range o.lanes {
		go drive(ctx, o, i, parts)
	}
	for _, p := range parts {
		if err := p.show(stdout); err != nil {
			fmt.Fprintf(stderr, "lanes: what %s says is in %s, and cannot be shown: %v\n", p.name, p.log.Name(), err)
		}
		<-p.done
	}
	return summary(stdout, parts)
}
