package encryption

import (
	"crypto/x509"
	"encoding/pem"

	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
)

// Times are from when to when the certificate is good, for /readyz; none while nobody can verify it.
func (c *Certificate) Times() []httpserver.CertificateTimes {
	if c.Provisional() {
		return nil
	}
	return TimesOf("port", c.Leaf())
}

// TimesOf are those of certificates with one use, a word of the contract.
func TimesOf(use string, certificates ...*x509.Certificate) []httpserver.CertificateTimes {
	all := make([]httpserver.CertificateTimes, 0, len(certificates))
	for _, c := range certificates {
		all = append(all, httpserver.CertificateTimes{Use: use, Begins: c.NotBefore, Ends: c.NotAfter})
	}
	return all
}

// Bundled are the certificates of a PEM bundle; what is none in it is left out.
func Bundled(bundle []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
}
