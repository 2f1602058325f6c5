package elastic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// transport is the way to the server: it adds the credentials, and trusts the authorities, that the files
// hold. Files change: a password is rotated, a certificate is renewed. When the server refuses the
// credentials, or its certificate is not trusted, the files are read again, and if they say
// something new the request is sent once more.
type transport struct {
	o Options

	mu        sync.Mutex
	authority []byte // PEM that next trusts
	next      *http.Transport
	header    string // Authorization
	whole     bool   // all files were read
}

// maxSecret bounds the files of secrets; a CA bundle may hold some hundred certificates.
const maxSecret = 1 << 20

func newTransport(o Options) (*transport, error) {
	t := &transport{o: o}
	if err := t.ready(); err != nil && !o.Patient {
		return nil, err
	}
	return t, nil
}

// errFiles is that the files of the credentials or authorities cannot be read.
var errFiles = errors.New("cannot be asked")

// ready reads the files, unless all were read once.
func (t *transport) ready() error {
	t.mu.Lock()
	whole := t.whole
	t.mu.Unlock()
	if whole {
		return nil
	}
	_, authority := t.readAuthority()
	_, credentials := t.readCredentials()
	if err := errors.Join(authority, credentials); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.whole = true
	return nil
}

// RoundTrip sends the request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.ready(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("%w: %w", errFiles, err)
	}
	answer, err := t.send(r)
	changed := false
	switch unknown := (*tls.CertificateVerificationError)(nil); {
	case errors.As(err, &unknown):
		changed, _ = t.readAuthority()
	case err == nil && answer.StatusCode == http.StatusUnauthorized:
		changed, _ = t.readCredentials()
	}
	if !changed || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return answer, err
	}
	again := r.Clone(r.Context())
	if r.GetBody != nil {
		body, bodyErr := r.GetBody()
		if bodyErr != nil {
			return answer, err
		}
		again.Body = body
	}
	if answer != nil {
		_ = answer.Body.Close()
	}
	return t.send(again)
}

func (t *transport) send(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	next, header := t.next, t.header
	t.mu.Unlock()
	if header != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", header)
	}
	return next.RoundTrip(r)
}

// readCredentials tells whether they are others than before.
func (t *transport) readCredentials() (bool, error) {
	header := ""
	switch {
	case t.o.APIKeyFile != "":
		key, err := readSecret(t.o.setting("api-key-file"), t.o.APIKeyFile)
		if err != nil {
			return false, err
		}
		header = "ApiKey " + string(key)
	case t.o.Username != "":
		password, err := readSecret(t.o.setting("password-file"), t.o.PasswordFile)
		if err != nil {
			return false, err
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(t.o.Username, string(password))
		header = r.Header.Get("Authorization")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := header != t.header
	t.header = header
	return changed, nil
}

// readAuthority tells whether others are trusted than before.
func (t *transport) readAuthority() (bool, error) {
	var authority []byte
	var roots *x509.CertPool
	if t.o.CAFile != "" {
		var err error
		if authority, err = readSecret("elasticsearch-ca-file", t.o.CAFile); err != nil {
			return false, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(authority) {
			return false, fmt.Errorf("elasticsearch-ca-file: %s holds no certificate in PEM form", t.o.CAFile)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil && bytes.Equal(authority, t.authority) {
		return false, nil
	}
	if t.next != nil {
		t.next.CloseIdleConnections()
	}
	t.authority = authority
	t.next = httpclient.NewTransport(httpclient.Options{
		Dial: dial, Connect: 5 * time.Second, MaxIdle: 8, Proxy: http.ProxyFromEnvironment,
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
	return true, nil
}

var dialer = net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return fromFiles(c), nil
}

func readSecret(setting, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if info.Size() > maxSecret {
		return nil, fmt.Errorf("%s: %s is too large for what it should hold", setting, path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", setting, path)
	}
	if setting != "elasticsearch-ca-file" && strings.ContainsAny(string(text), "\r\n\x00") {
		return nil, fmt.Errorf("%s: %s must hold one line", setting, path)
	}
	return text, nil
}
