package certificates

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"slices"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
)

// Own issues the controller its own certificate.
type Own struct {
	Store *Store
	Names authority.Names
}

var _ encryption.Issuer = Own{}

// Issue makes one.
func (o Own) Issue(ctx context.Context) (*tls.Certificate, error) {
	key, _, err := authority.NewRequest()
	if err != nil {
		return nil, err
	}
	names := o.Names
	names.IPs = slices.Clone(names.IPs)
	for _, address := range o.Store.serviceIPs(ctx, o.Store.Namespace, names.Common) {
		names.IPs = append(names.IPs, net.ParseIP(address))
	}
	chain, err := o.Store.Sign(key.Public(), names)
	if err != nil {
		return nil, err
	}
	return authority.Join(chain, key)
}

// Trusted tells whether it can be verified still.
func (o Own) Trusted(c *x509.Certificate) bool { return o.Store.Signed(c) }

// ServiceNames are those of a service and of one of its pods. A pod without an address, one outside of a
// cluster, is reached on its own machine alone.
func ServiceNames(namespace, service, pod string, addresses ...string) authority.Names {
	n := authority.Names{
		Common: service,
		DNS:    []string{service, "localhost", service + "." + namespace, service + "." + namespace + ".svc", service + "." + namespace + ".svc.cluster.local"},
		URIs:   []*url.URL{{Scheme: "spiffe", Host: product, Path: "/" + namespace + "/" + service + "/" + pod}},
		// Who forwards a port of the pod calls it so.
		IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, address := range addresses {
		if ip := net.ParseIP(address); ip != nil {
			n.IPs = append(n.IPs, ip)
		} else if address != "" {
			n.DNS = append(n.DNS, address)
		}
	}
	return n
}
