package app

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/certificates"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/listener"
)

// EntrySettings are how clients come in: over TLS, and through which balancer before this one.
type EntrySettings struct {
	TLSListen         string // where clients come over TLS; "" is nowhere
	Certificates      certificates.Settings
	ProxyProtocol     string // off, accept, require; on both data ports
	HTTPSRedirect     bool   // who comes in clear is sent to TLS
	HTTPSRedirectPort int    // that clients know; 0 is the one of TLSListen
}

func (s *EntrySettings) declare(set *settings.Set) {
	set.AddressOrNone(&s.TLSListen, "tls-listen", "", "where clients come over TLS, such as :8443; nowhere by default")
	s.Certificates.Declare(set)
	set.Choice(&s.ProxyProtocol, "proxy-protocol", listener.Off, "PROXY headers (version 1 and 2) on the data ports: off, accept or require; only those of trusted-proxies are read, where that is set", listener.Off, listener.Accept, listener.Require)
	set.Bool(&s.HTTPSRedirect, "https-redirect", false, "answer who comes in clear with 308 and the same URL over TLS; not who came to a trusted proxy by https")
	set.Int(&s.HTTPSRedirectPort, "https-redirect-port", 0, 0, 65535, "port in that URL, as clients know it (443 behind most Services); 0 is that of tls-listen")
}

func (s EntrySettings) validate() error {
	var faults []error
	if s.TLSListen != "" {
		_, err := s.Certificates.Pairs()
		faults = append(faults, err)
		if s.HTTPSRedirect && s.redirectPort() == 0 {
			faults = append(faults, fmt.Errorf("https-redirect-port: 0 is not allowed with tls-listen %q: must be the port that clients know", s.TLSListen))
		}
		return errors.Join(faults...)
	}
	for _, only := range []struct{ key, value string }{
		{"tls-cert-files", s.Certificates.CertFiles}, {"tls-key-files", s.Certificates.KeyFiles}, {"tls-cert-dirs", s.Certificates.Dirs},
	} {
		if only.value != "" {
			faults = append(faults, fmt.Errorf("%s: %q is not allowed without tls-listen", only.key, only.value))
		}
	}
	if s.HTTPSRedirect && s.HTTPSRedirectPort == 0 { // with a port, TLS ends somewhere else
		faults = append(faults, errors.New("https-redirect: true is not allowed without tls-listen or https-redirect-port"))
	}
	return errors.Join(faults...)
}

// httpsPort is the port that who comes in clear is sent to; 0 sends nobody.
func (s EntrySettings) httpsPort() int {
	if !s.HTTPSRedirect {
		return 0
	}
	return s.redirectPort()
}

// redirectPort is the port that a redirect names.
func (s EntrySettings) redirectPort() int {
	if s.HTTPSRedirectPort != 0 {
		return s.HTTPSRedirectPort
	}
	_, port, err := net.SplitHostPort(s.TLSListen)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}
