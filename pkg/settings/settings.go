// Package settings reads a service's settings: defaults, then a YAML file, then the environment,
// then flags, each over the one before. It is strict (an unknown key is an error) and reports all
// faults at once, each with its key, its value and what is allowed. A service declares its
// settings by binding the fields of its own documented struct; there are no globals.
package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// ErrHelp is returned when -h, -help or -version was asked for; the answer has been written.
var ErrHelp = flag.ErrHelp

// maxFile bounds the settings file, in bytes.
const maxFile = 1 << 20

// Set is the settings of one program.
type Set struct {
	name   string
	prefix string
	items  map[string]*item
	out    io.Writer
	stdout io.Writer // for -version: what is asked for in a script is read there
}

// item is one setting: how to set it from text, and what it holds.
type item struct {
	key   string
	text  string // what was set last, or the default
	help  string
	allow string
	set   func(string) error
	bool  bool
}

// New makes an empty set. The environment variable of the key "drain-timeout" with prefix
// "NEMESIS_" is NEMESIS_DRAIN_TIMEOUT. Usage goes to out.
func New(name, prefix string, out io.Writer) *Set {
	return &Set{name: name, prefix: prefix, items: map[string]*item{}, out: out, stdout: os.Stdout}
}

// Load reads file (named by the flag -config or the variable PREFIX_CONFIG), environment and args.
// It returns ErrHelp, or one error that joins every fault found.
func (s *Set) Load(args []string, environ []string) error {
	env := environment(environ)
	flags := flag.NewFlagSet(s.name, flag.ContinueOnError)
	flags.SetOutput(s.out)
	config := flags.String("config", env[s.variable("config")], "YAML file with settings")
	version := flags.Bool("version", false, "print which build this is, and end")
	given := map[string]string{}
	for key, it := range s.items {
		if it.bool {
			flags.BoolFunc(key, it.usage(s.variable(key)), func(v string) error { given[key] = v; return nil })
			continue
		}
		flags.Func(key, it.usage(s.variable(key)), func(v string) error { given[key] = v; return nil })
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version {
		if _, err := fmt.Fprintln(s.stdout, build.Line(s.name)); err != nil {
			return err
		}
		return ErrHelp
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q: only flags are allowed", flags.Arg(0))
	}

	var faults []error
	if *config != "" {
		faults = append(faults, s.file(*config)...)
	}
	for key := range s.items {
		if v, ok := env[s.variable(key)]; ok {
			faults = append(faults, s.put("environment variable "+s.variable(key), key, v))
		}
	}
	for key, v := range given {
		faults = append(faults, s.put("flag -"+key, key, v))
	}
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// Values are all settings as text, for the log at start.
func (s *Set) Values() map[string]string {
	values := make(map[string]string, len(s.items))
	for key, it := range s.items {
		values[key] = it.text
	}
	return values
}

func (s *Set) file(path string) []error {
	f, err := os.Open(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return []error{fmt.Errorf("config file: %w", err)}
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return []error{fmt.Errorf("config file: %w", err)}
	}
	if len(raw) > maxFile {
		return []error{fmt.Errorf("config file %s: larger than %d bytes", path, maxFile)}
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(raw, &values); err != nil {
		return []error{fmt.Errorf("config file %s: %w", path, err)}
	}
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch v := values[key].(type) {
		case map[string]any, []any, nil:
			faults = append(faults, fmt.Errorf("config file %s: %s: must be a text, a number or true/false", path, key))
		case float64:
			faults = append(faults, s.put("config file "+path, key, number(v)))
		default:
			faults = append(faults, s.put("config file "+path, key, fmt.Sprint(v)))
		}
	}
	return faults
}

func (s *Set) put(source, key, value string) error {
	it, ok := s.items[key]
	if !ok {
		return fmt.Errorf("%s: unknown setting %q; allowed are %s", source, key, strings.Join(slices.Sorted(maps.Keys(s.items)), ", "))
	}
	if err := it.set(value); err != nil {
		return fmt.Errorf("%s: %s: %q is not allowed: must be %s", source, key, value, it.allow)
	}
	it.text = value
	return nil
}

func (s *Set) variable(key string) string {
	return s.prefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

func (it *item) usage(variable string) string {
	return fmt.Sprintf("%s; %s (default %q, environment %s)", it.help, it.allow, it.text, variable)
}

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	return env
}
