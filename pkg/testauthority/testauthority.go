// Package testauthority gives tests certificates as the controller issues them.
package testauthority

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
)

// Authority issues certificates.
type Authority struct {
	t     testing.TB
	state authority.State
	File  string // has the bundle, as ca.crt of the ConfigMap does
}

// New makes one with a root.
func New(t testing.TB) *Authority {
	t.Helper()
	state, _, err := authority.State{}.Renew(time.Now(), authority.Times{})
	if err != nil {
		t.Fatal(err)
	}
	a := &Authority{t: t, state: state, File: filepath.Join(t.TempDir(), "ca.crt")}
	a.Write(a.File, state.Bundle())
	return a
}

// Bundle is what is published.
func (a *Authority) Bundle() []byte { return a.state.Bundle() }

// Write replaces a file's content, as the kubelet does: whoever reads it has the one or the other.
func (a *Authority) Write(file string, content []byte) {
	a.t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		a.t.Fatal(err)
	}
}

// Issue makes a certificate for 127.0.0.1 and these names.
func (a *Authority) Issue(names ...string) *tls.Certificate {
	a.t.Helper()
	key, _, err := authority.NewRequest()
	if err != nil {
		a.t.Fatal(err)
	}
	chain, err := a.Sign(key.Public(), names...)
	if err != nil {
		a.t.Fatal(err)
	}
	pair, err := authority.Join(chain, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// Sign is the certificate of a key, as PEM.
func (a *Authority) Sign(key any, names ...string) ([]byte, error) {
	return a.state.Issue(time.Now(), authority.Times{}, key, authority.Names{
		Common: "test", DNS: names, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	})
}
