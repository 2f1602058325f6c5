package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

var errRange = errors.New("out of range")

// String binds a text of any content.
func (s *Set) String(p *string, key, value, help string) {
	s.bind(key, value, help, "a text", func(v string) error { *p = v; return nil })
}

// Text binds a text that must be as a check has it; allowed says what that is.
func (s *Set) Text(p *string, key, value, help, allowed string, check func(string) bool) {
	s.bind(key, value, help, allowed, func(v string) error {
		if !check(v) {
			return errRange
		}
		*p = v
		return nil
	})
}

// URL binds an address such as http://host:8080.
func (s *Set) URL(p *string, key, value, help string) {
	s.bind(key, value, help, "a URL such as https://autoscaler-controller:8080", func(v string) error {
		if !IsURL(v) {
			return errRange
		}
		*p = v
		return nil
	})
}

// IsURL tells whether a text is the address of a server: by http or https, with a host.
func IsURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// Choice binds a text that must be one of several.
func (s *Set) Choice(p *string, key, value, help string, choices ...string) {
	s.bind(key, value, help, "one of "+strings.Join(choices, ", "), func(v string) error {
		if !slices.Contains(choices, v) {
			return errRange
		}
		*p = v
		return nil
	})
}

// Address binds a listening address, host:port, the host may be empty.
func (s *Set) Address(p *string, key, value, help string) {
	s.bind(key, value, help, addresses, func(v string) error {
		if err := address(v); err != nil {
			return err
		}
		*p = v
		return nil
	})
}

// AddressOrNone binds a listening address, or "" for none.
func (s *Set) AddressOrNone(p *string, key, value, help string) {
	s.bind(key, value, help, addresses+", or empty for none", func(v string) error {
		if v != "" {
			if err := address(v); err != nil {
				return err
			}
		}
		*p = v
		return nil
	})
}

const addresses = "host:port or :port with a port from 0 to 65535"

func address(v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// Bool binds a switch.
func (s *Set) Bool(p *bool, key string, value bool, help string) {
	s.bind(key, strconv.FormatBool(value), help, "true or false", func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return err
		}
		*p = b
		return nil
	})
	s.items[key].bool = true
}

// Int binds a whole number from low to high.
func (s *Set) Int(p *int, key string, value, low, high int, help string) {
	s.bind(key, strconv.Itoa(value), help, fmt.Sprintf("a whole number from %d to %d", low, high), func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return err
		}
		if n < low || n > high {
			return errRange
		}
		*p = n
		return nil
	})
}

// Float binds a number from low to high.
func (s *Set) Float(p *float64, key string, value, low, high float64, help string) {
	s.bind(key, number(value), help, fmt.Sprintf("a number from %v to %v", low, high), func(v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return err
		}
		if !(f >= low && f <= high) { // also refuses NaN
			return errRange
		}
		*p = f
		return nil
	})
}

// Duration binds a duration from low to high, written as Go does (300ms, 30s, 5m).
func (s *Set) Duration(p *time.Duration, key string, value, low, high time.Duration, help string) {
	s.bind(key, value.String(), help, fmt.Sprintf("a duration from %v to %v, such as 500ms or 30s", low, high), func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return err
		}
		if d < low || d > high {
			return errRange
		}
		*p = d
		return nil
	})
}

// bind declares a setting and gives it its default. A default outside its own range, or a key
// declared twice, is a mistake in the program, so it panics.
func (s *Set) bind(key, value, help, allow string, set func(string) error) {
	if _, ok := s.items[key]; ok || key == "config" {
		panic("settings: " + key + " is declared twice")
	}
	if err := set(value); err != nil {
		panic(fmt.Sprintf("settings: the default %q of %s is not allowed: must be %s", value, key, allow))
	}
	s.items[key] = &item{key: key, text: value, help: help, allow: allow, set: set}
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
