package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

func read(t *testing.T, directory, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, name+".crt"), filepath.Join(directory, name+".key"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return pair.Leaf
}

func TestWriteCluster_EveryCertificateIsSignedForItsUse(t *testing.T) {
	directory := t.TempDir()
	if err := WriteCluster(directory); err != nil {
		t.Fatal(err)
	}
	roots, front := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(read(t, directory, ClusterCA))
	front.AddCert(read(t, directory, FrontProxyCA))
	for name, subject := range subjects() {
		certificate := read(t, directory, name)
		usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		for _, host := range append(subject.Hosts, "") {
			options := x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: usages}
			if host != "" {
				options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			}
			if _, err := certificate.Verify(options); err != nil {
				t.Errorf("%s for %q: %v", name, host, err)
			}
		}
		if certificate.Subject.CommonName != subject.Name {
			t.Errorf("%s is for %q", name, certificate.Subject.CommonName)
		}
	}
	proxy := read(t, directory, FrontProxy)
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := proxy.Verify(x509.VerifyOptions{Roots: front, KeyUsages: clients}); err != nil {
		t.Error(err)
	}
	if _, err := proxy.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: clients}); err == nil {
		t.Error("the cluster's own authority vouches for the front proxy")
	}
}

func TestWriteCluster_KeysAreForRootAlone(t *testing.T) {
	directory := t.TempDir()
	if err := WriteCluster(directory); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(directory, "*.key"))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) < len(subjects()) {
		t.Errorf("only %d keys", len(keys))
	}
	for _, key := range keys {
		info, err := os.Stat(key)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %s", key, info.Mode())
		}
	}
	raw, err := os.ReadFile(filepath.Join(directory, ServiceAccountPublic))
	if err != nil {
		t.Fatal(err)
	}
	if block, _ := pem.Decode(raw); block == nil || block.Type != "PUBLIC KEY" {
		t.Errorf("the service accounts' public key: %q", raw)
	}
}

func TestAPIServer_IsKnownByItsNameInsideTheCluster(t *testing.T) {
	hosts := subjects()[APIServer].Hosts
	for _, want := range []string{"kubernetes.default.svc." + layout.ClusterDomain, layout.APIAddress, layout.NodeAddress} {
		found := false
		for _, host := range hosts {
			found = found || host == want
		}
		if !found {
			t.Errorf("%s is missing in %v", want, hosts)
		}
	}
}
