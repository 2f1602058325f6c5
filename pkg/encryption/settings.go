// Package encryption is how the services' connections to each other are encrypted: which certificate a
// port shows, and how it changes without a connection noticing; which authorities a client trusts, read
// anew as their file changes; and what is said where clear text is spoken.
//
// Who issues certificates is package authority's matter, what a port does with those who speak no TLS is
// httpserver's.
package encryption

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
)

// DefaultCAFile is where the pod's projected volume has what a service trusts.
const DefaultCAFile = "/var/run/secrets/nemesis/ca.crt"

// Settings are those of every service that speaks TLS.
type Settings struct {
	// ClearText lets the service speak clear text too: its ports serve it beside TLS, and where another
	// service does not speak TLS, or the authorities are not there yet, it is called in clear text. It is
	// for a rollout from version 0.1.0. Default false.
	ClearText bool
	// CAFile has the authorities by which other services are verified, as PEM. "" are the system's.
	CAFile string
	// CertFile and KeyFile are a certificate that is given, as PEM. "", the default: the controller issues one.
	CertFile, KeyFile string
}

// DeclareClient declares what a service needs that only calls others.
func (s *Settings) DeclareClient(set *settings.Set) {
	s.declareClear(set)
	set.String(&s.CAFile, "ca-file", DefaultCAFile, "authorities by which other services are verified, PEM; read anew as it changes; empty: the system's")
}

func (s *Settings) declareClear(set *settings.Set) {
	set.Bool(&s.ClearText, "clear-text", false, "speak clear text too: serve it beside TLS, and call other services so where they speak no TLS or ca-file is not there; for a rollout from 0.1.0")
}

// Declare declares all.
func (s *Settings) Declare(set *settings.Set) {
	s.DeclareClient(set)
	s.declareGiven(set)
}

// DeclareAuthority declares those of who issues the certificates, and knows by itself who is to be trusted.
func (s *Settings) DeclareAuthority(set *settings.Set) {
	s.declareClear(set)
	set.String(&s.CAFile, "ca-file", "", "authorities that are published, and trusted, beside the controller's own: those of a certificate that is given, PEM; read anew as it changes; empty: none")
	s.declareGiven(set)
}

func (s *Settings) declareGiven(set *settings.Set) {
	set.String(&s.CertFile, "service-cert-file", "", "certificate chain of this service's ports, PEM, read anew as it changes; empty: the controller issues one")
	set.String(&s.KeyFile, "service-key-file", "", "its private key")
}

// Validate checks what no kind of setting can check by itself.
func (s *Settings) Validate() error {
	switch {
	case s.CertFile == "" && s.KeyFile == "":
		return nil
	case s.CertFile == "":
		return errors.New(`service-cert-file: "" is not allowed: must be the certificate of the key in service-key-file`)
	case s.KeyFile == "":
		return errors.New(`service-key-file: "" is not allowed: must be the key of the certificate in service-cert-file`)
	}
	if _, err := s.load(); err != nil {
		return err
	}
	return nil
}

// Given tells whether the certificate is one that was given.
func (s *Settings) Given() bool { return s.CertFile != "" }

// Warn says at the start where clear text is spoken. urls are those of other services.
func (s *Settings) Warn(log *slog.Logger, urls ...string) {
	for _, text := range s.Trouble(urls...) {
		log.Warn(text)
	}
}

// Trouble is what the readiness detail has of it.
func (s *Settings) Trouble(urls ...string) []string {
	var all []string
	if s.ClearText {
		all = append(all, "clear-text is set: this service takes calls in clear text, and makes them where another one speaks no TLS")
	}
	for _, text := range urls {
		if clear(text) {
			all = append(all, fmt.Sprintf("%s is called in clear text: an address that begins with https:// is not", text))
		}
	}
	return all
}

func clear(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http"
}

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// GivenAuthorities are those in the file, and nothing where none is named.
func (s *Settings) GivenAuthorities() ([]byte, error) {
	if s.CAFile == "" {
		return nil, nil
	}
	text, err := readFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca-file: %w", err)
	}
	return text, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the file
	}
	if info.Size() > maxFile || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no file of at most %d bytes", name, maxFile)
	}
	return os.ReadFile(name) //nolint:gosec,wrapcheck // G304: the operator names it; the error does too
}
