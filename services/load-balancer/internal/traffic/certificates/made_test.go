package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var now = time.Now()

// made is a certificate for tests, as PEM.
type made struct {
	cert, key []byte
	serial    int64
}

var serials int64

func newKey(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// makeFor makes a certificate for names, that ends after a time from now.
func makeFor(t *testing.T, kind string, life time.Duration, names ...string) made {
	t.Helper()
	serials++
	key := newKey(t, kind)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(life), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return made{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), serials,
	}
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// mount puts a certificate into a folder in the way of the kubelet: the files are links through
// ..data to a folder of their own, and an update sets ..data anew with one rename.
func mount(t *testing.T, dir string, m made) {
	t.Helper()
	version, err := os.MkdirTemp(dir, "..version")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(version, "tls.crt"), m.cert)
	write(t, filepath.Join(version, "tls.key"), m.key)
	link := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(version), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
}

// pairOf writes both files of a certificate into a new folder.
func pairOf(t *testing.T, m made) Pair {
	t.Helper()
	dir := t.TempDir()
	return Pair{write(t, filepath.Join(dir, "a.crt"), m.cert), write(t, filepath.Join(dir, "a.key"), m.key), "tls-cert-files", "tls-key-files"}
}

// bench is a store that serves, and what it logged.
type bench struct {
	*Store
	log      bytes.Buffer
	registry *prometheus.Registry
	address  string
}

func serve(t *testing.T, pairs ...Pair) *bench {
	t.Helper()
	b := &bench{registry: prometheus.NewRegistry()}
	var err error
	if b.Store, err = Load(pairs, now, slog.New(slog.NewTextHandler(&b.log, nil)), b.registry); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", b.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	b.address = l.Addr().String()
	return b
}

func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	b := make([]byte, 64)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func (b *bench) dial(t *testing.T, c *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := b.try(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (b *bench) try(c *tls.Config) (*tls.Conn, error) {
	c.InsecureSkipVerify = true // what is shown is looked at
	return tls.Dial("tcp", b.address, c)
}

// shown is the serial number of the certificate that a client sees.
func (b *bench) shown(t *testing.T, name string) int64 {
	t.Helper()
	return b.dial(t, &tls.Config{ServerName: name}).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// says sends a word and reads it back.
func says(t *testing.T, c net.Conn, word string) {
	t.Helper()
	if _, err := c.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(word))
	for n := 0; n < len(b); {
		m, err := c.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if string(b) != word {
		t.Fatalf("%q came back as %q", word, b)
	}
}
