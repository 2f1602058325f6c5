// Package settings reads what a sample application is told by its flags and its environment
// (a flag wins), and reports every value that is not allowed at once. What the settings mean
// is said by the applications.
package settings

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Set collects settings; every setting has a flag, and an environment variable of the same name
// in capitals with underscores (-load-seconds, LOAD_SECONDS).
type Set struct {
	flags  *flag.FlagSet
	getenv func(string) string
	faults []error
	parse  []func()
}

// New makes an empty Set for the program of this name.
func New(program string, getenv func(string) string, usage io.Writer) *Set {
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(usage)
	return &Set{flags: flags, getenv: getenv}
}

func (s *Set) add(name, standard, usage string, take func(value string) error) {
	env := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	initial := standard
	if value := s.getenv(env); value != "" {
		initial = value
	}
	given := s.flags.String(name, initial, fmt.Sprintf("%s (%s)", usage, env))
	s.flags.Lookup(name).DefValue = standard
	s.parse = append(s.parse, func() {
		if err := take(*given); err != nil {
			s.faults = append(s.faults, fmt.Errorf("-%s (%s): %q is not allowed: %w", name, env, *given, err))
		}
	})
}

// Int is a whole number from least to most, standard when not given.
func (s *Set) Int(into *int, name string, standard, least, most int, usage string) {
	s.add(name, strconv.Itoa(standard), usage, func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("must be a whole number from %d to %d", least, most)
		}
		*into = n
		return nil
	})
}

// Number is a decimal number from least to most.
func (s *Set) Number(into *float64, name string, standard, least, most float64, usage string) {
	s.add(name, strconv.FormatFloat(standard, 'g', -1, 64), usage, func(value string) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !(x >= least && x <= most) { // written so that NaN is refused
			return fmt.Errorf("must be a number from %g to %g", least, most)
		}
		*into = x
		return nil
	})
}

// Seconds is a time span, given in (decimal) seconds from 0 to most.
func (s *Set) Seconds(into *time.Duration, name string, standard, most time.Duration, usage string) {
	var seconds float64
	s.Number(&seconds, name, standard.Seconds(), 0, most.Seconds(), usage)
	s.parse = append(s.parse, func() { *into = time.Duration(seconds * float64(time.Second)) })
}

// Bool is true or false.
func (s *Set) Bool(into *bool, name string, standard bool, usage string) {
	s.add(name, strconv.FormatBool(standard), usage, func(value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return errors.New("must be true or false")
		}
		*into = b
		return nil
	})
}

// Text is a text of 1 to most bytes.
func (s *Set) Text(into *string, name, standard string, most int, usage string) {
	s.add(name, standard, usage, func(value string) error {
		if value == "" || len(value) > most {
			return fmt.Errorf("must have from 1 to %d bytes", most)
		}
		*into = value
		return nil
	})
}

// Address is what to listen on: a port (5001), or a host and a port (127.0.0.1:5001). Port 0 is
// any free one.
func (s *Set) Address(into *string, name, standard, usage string) {
	s.add(name, standard, usage, func(value string) error {
		if !strings.Contains(value, ":") {
			value = ":" + value
		}
		_, port, err := net.SplitHostPort(value)
		if n, notNumber := strconv.Atoi(port); err != nil || notNumber != nil || n < 0 || n > 65535 {
			return errors.New("must be a port from 0 to 65535, or HOST:PORT")
		}
		*into = value
		return nil
	})
}

// Parse fills the settings in; the error names every one at fault. It is flag.ErrHelp when help
// was asked for, and given.
func (s *Set) Parse(args []string) error {
	if err := s.flags.Parse(args); err != nil {
		return err
	}
	for _, parse := range s.parse {
		parse()
	}
	if s.flags.NArg() > 0 {
		s.faults = append(s.faults, fmt.Errorf("argument %q is not allowed: there are only flags", s.flags.Arg(0)))
	}
	return errors.Join(s.faults...)
}
