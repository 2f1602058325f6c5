package peer

import (
	"errors"
	"net"
)

// errAbsent is of a proxy that is not installed.
var errAbsent = errors.New("it is not installed")

// Site is where the proxies stand, the same for all.
type Site struct {
	Dir         string // one proxy's own
	CPU         int
	Listen      string // for HTTP/1.1
	ListenTLS   string
	ListenH2    string // for HTTP/2 in clear
	ListenAdmin string
	Backend     string
	BackendH2   string // HTTP/2 in clear
	Controller  string // of the load balancers of ours
	Certificate string // files, in PEM
	Key         string // with the certificate
	Log         string // file; "" for none
	Buffered    bool   // the log may be written in blocks
	Root        bool   // we are
}

// HostPort is an address in its parts, for configurations that want them so.
type HostPort struct {
	Host, Port string
	TLS, H2    bool
}

// Listeners are all that a proxy listens at.
func (s Site) Listeners() []HostPort {
	list := []HostPort{parts(s.Listen), parts(s.ListenTLS)}
	list[1].TLS = true
	if s.BackendH2 != "" {
		h2 := parts(s.ListenH2)
		h2.H2 = true
		list = append(list, h2)
	}
	return list
}

// Backends are those behind the proxy, by name.
func (s Site) Backends() map[string]HostPort {
	all := map[string]HostPort{"application": parts(s.Backend)}
	if s.BackendH2 != "" {
		all["grpc"] = parts(s.BackendH2)
	}
	return all
}

// Port is that of an address.
func (Site) Port(address string) string { return parts(address).Port }

func parts(address string) HostPort {
	host, port, _ := net.SplitHostPort(address) // we made it
	return HostPort{Host: host, Port: port}
}
