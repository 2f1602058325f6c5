package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxRequest bounds a request for a certificate, in bytes of PEM.
const maxRequest = 8 << 10

// NewRequest makes a key and the request (PKCS #10, PEM) for a certificate of it. What the certificate
// names is the authority's to say: the request names nobody.
func NewRequest() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a request for a certificate: %w", err)
	}
	return key, encoded("CERTIFICATE REQUEST", raw), nil
}

// Obtain makes a key, which never leaves this process, and has a certificate of it issued: ask sends the request
// and brings the chain (PEM).
func Obtain(ctx context.Context, ask func(ctx context.Context, request []byte) (chain []byte, err error)) (*tls.Certificate, error) {
	key, request, err := NewRequest()
	if err != nil {
		return nil, err
	}
	chain, err := ask(ctx, request)
	if err != nil {
		return nil, err
	}
	return Join(chain, key)
}

// ReadRequest is the public key of a request whose sender has the private one.
func ReadRequest(text []byte) (crypto.PublicKey, error) {
	if len(text) > maxRequest {
		return nil, fmt.Errorf("the request has %d bytes: at most %d are read", len(text), maxRequest)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("the request is no PEM of a CERTIFICATE REQUEST")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the request: %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the request is not signed by its own key: %w", err)
	}
	return request.PublicKey, strong(request.PublicKey)
}

// Join makes a certificate of what was issued for a key.
func Join(chain []byte, key crypto.Signer) (*tls.Certificate, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, encoded("PRIVATE KEY", raw))
	if err != nil {
		return nil, fmt.Errorf("the certificate that was issued: %w", err)
	}
	return &pair, nil
}
