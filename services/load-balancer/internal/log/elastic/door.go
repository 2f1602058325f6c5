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
)

// door is the way to the server: it adds the credentials, and trusts the authorities, that the files
// hold. Files change: a password is rotated, a certificate is renewed. When the server refuses the
// credentials, or its certificate is not trusted, the files are read again, and if they say
// something new the request is sent once more.
type door struct {
	o Options

	mu        sync.Mutex
	authority []byte // PEM that transport trusts
	transport *http.Transport
	header    string // Authorization
	whole     bool   // all files were read
}

// maxSecret bounds the files of secrets; a CA bundle may hold some hundred certificates.
const maxSecret = 1 << 20

func newDoor(o Options) (*door, error) {
	d := &door{o: o}
	if err := d.ready(); err != nil && !o.Patient {
		return nil, err
	}
	return d, nil
}

// errFiles is that the files of the credentials or authorities cannot be read.
var errFiles = errors.New("cannot be asked")

// ready reads the files, unless all were read once.
func (d *door) ready() error {
	d.mu.Lock()
	whole := d.whole
	d.mu.Unlock()
	if whole {
		return nil
	}
	_, authority := d.readAuthority()
	_, credentials := d.readCredentials()
	if err := errors.Join(authority, credentials); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.whole = true
	return nil
}

// RoundTrip sends the request.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := d.ready(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("%w: %w", errFiles, err)
	}
	answer, err := d.send(r)
	changed := false
	switch unknown := (*tls.CertificateVerificationError)(nil); {
	case errors.As(err, &unknown):
		changed, _ = d.readAuthority()
	case err == nil && answer.StatusCode == http.StatusUnauthorized:
		changed, _ = d.readCredentials()
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
	return d.send(again)
}

func (d *door) send(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	transport, header := d.transport, d.header
	d.mu.Unlock()
	if header != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", header)
	}
	return transport.RoundTrip(r)
}

// readCredentials tells whether they are others than before.
func (d *door) readCredentials() (bool, error) {
	header := ""
	switch {
	case d.o.APIKeyFile != "":
		key, err := readSecret(d.o.setting("api-key-file"), d.o.APIKeyFile)
		if err != nil {
			return false, err
		}
		header = "ApiKey " + string(key)
	case d.o.Username != "":
		password, err := readSecret(d.o.setting("password-file"), d.o.PasswordFile)
		if err != nil {
			return false, err
		}
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(d.o.Username, string(password))
		header = r.Header.Get("Authorization")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := header != d.header
	d.header = header
	return changed, nil
}

// readAuthority tells whether others are trusted than before.
func (d *door) readAuthority() (bool, error) {
	var authority []byte
	var roots *x509.CertPool
	if d.o.CAFile != "" {
		var err error
		if authority, err = readSecret("elasticsearch-ca-file", d.o.CAFile); err != nil {
			return false, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(authority) {
			return false, fmt.Errorf("elasticsearch-ca-file: %s holds no certificate in PEM form", d.o.CAFile)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.transport != nil && bytes.Equal(authority, d.authority) {
		return false, nil
	}
	if d.transport != nil {
		d.transport.CloseIdleConnections()
	}
	d.authority = authority
	d.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dial,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}
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
