// Command licences tells under which licences stands what the programs of this repository are built
// with, and fails for one that is not on the list: it says which module, and which licence. The texts are
// those in the module cache, from each package that is compiled in up to its module's root.
//
//	go run ./licences ../services/load-balancer ../services/sidecar
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/deployments/internal/command"
	"github.com/nemesis-scaling/nemesis/deployments/internal/licences"
)

// allowed are the licences that ask for no more than a notice, or whose demands end at their own files
// (MPL-2.0).
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

func main() { command.Main("licences", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("licences", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.Bool("list", false, "print each module with its licences")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no module is named: usage is licences [-list] FOLDER and more of them")
	}
	known := map[string]module{}
	for _, folder := range flags.Args() {
		if err := collect(ctx, folder, known); err != nil {
			return err
		}
	}
	var faults []error
	for _, m := range sorted(known) {
		if *list {
			fmt.Fprintln(stdout, m.name, licences.Expression(m.ids))
		}
		faults = append(faults, m.check())
	}
	return errors.Join(faults...)
}

// module is one that is compiled in.
type module struct {
	name  string // path@version
	ids   []string
	fault error
}

func (m module) check() error {
	if m.fault != nil {
		return fmt.Errorf("%s: %w", m.name, m.fault)
	}
	for _, id := range m.ids {
		if !slices.Contains(allowed, id) {
			return fmt.Errorf("%s is under %s, which is not one of %s", m.name, id, strings.Join(allowed, ", "))
		}
	}
	return nil
}

func sorted(known map[string]module) []module {
	all := make([]module, 0, len(known))
	for _, m := range known {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.name, b.name) })
	return all
}

// listed is what `go list` says of a package.
type listed struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Replace            *struct{ Path, Version string }
	}
}

// collect adds what the packages of the module in this folder are built with on linux, with C or without, their tests left
// out, and modules of this repository too, which have its licence.
func collect(ctx context.Context, folder string, known map[string]module) error {
	list := exec.CommandContext(ctx, "go", "list", "-deps", "-tags=nvml", "-json=Dir,Module", "./...")
	list.Dir = folder
	list.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "CGO_ENABLED=1")
	var said bytes.Buffer
	list.Stderr = &said
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list in %s: %w\n%s", folder, err, bytes.TrimSpace(said.Bytes()))
	}
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list in %s: %w", folder, err)
		}
		if p.Module == nil || p.Module.Version == "" || p.Module.Replace != nil && p.Module.Replace.Version == "" {
			continue // of the standard library, or of this repository
		}
		m := known[p.Module.Path+"@"+p.Module.Version]
		m.name = p.Module.Path + "@" + p.Module.Version
		ids, err := licences.Between(p.Dir, p.Module.Dir)
		if err != nil {
			m.fault = err
		}
		m.ids = append(m.ids, ids...)
		slices.Sort(m.ids)
		m.ids = slices.Compact(m.ids)
		known[m.name] = m
	}
}
