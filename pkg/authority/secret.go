package authority

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

// The keys of the Secret in which a State stands. Its ca.crt is what everybody else may read too.
const (
	KeyCertificate  = "ca.crt"
	keyKey          = "ca.key"
	keyNext         = "next.crt"
	keyNextKey      = "next.key"
	keyPrevious     = "previous.crt"
	keySigningSince = "signing-since"
)

// Encode is the data of the Secret.
func (s State) Encode() (map[string][]byte, error) {
	data := map[string][]byte{keySigningSince: []byte(s.since.UTC().Format(time.RFC3339))}
	for _, r := range []struct {
		root
		certificateKey, keyKey string
	}{{s.current, KeyCertificate, keyKey}, {s.next, keyNext, keyNextKey}} {
		if r.certificate == nil {
			continue
		}
		raw, err := x509.MarshalPKCS8PrivateKey(r.key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.keyKey, err)
		}
		data[r.certificateKey], data[r.keyKey] = encoded("CERTIFICATE", r.certificate.Raw), encoded("PRIVATE KEY", raw)
	}
	if s.previous != nil {
		data[keyPrevious] = encoded("CERTIFICATE", s.previous.Raw)
	}
	return data, nil
}

// Decode reads the data of the Secret. An empty one is the zero State; one that cannot be used is an
// error that names the key: a new root in its place would cut off everybody who has the old one.
func Decode(data map[string][]byte) (State, error) {
	var s State
	var err error
	if len(data[KeyCertificate]) == 0 {
		return s, nil
	}
	if s.current, err = decodeRoot(data, KeyCertificate, keyKey); err != nil {
		return State{}, err
	}
	if len(data[keyNext]) > 0 {
		if s.next, err = decodeRoot(data, keyNext, keyNextKey); err != nil {
			return State{}, err
		}
	}
	if len(data[keyPrevious]) > 0 {
		if s.previous, err = decodeCertificate(data, keyPrevious); err != nil {
			return State{}, err
		}
	}
	if text := string(data[keySigningSince]); text != "" {
		if s.since, err = time.Parse(time.RFC3339, text); err != nil {
			return State{}, fmt.Errorf("%s: %q is not allowed: must be a time (RFC 3339)", keySigningSince, text)
		}
	}
	return s, nil
}

func decodeRoot(data map[string][]byte, certificateKey, privateKey string) (root, error) {
	certificate, err := decodeCertificate(data, certificateKey)
	if err != nil {
		return root{}, err
	}
	block, _ := pem.Decode(data[privateKey])
	if block == nil {
		return root{}, fmt.Errorf("%s: holds no PEM", privateKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return root{}, fmt.Errorf("%s: %w", privateKey, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return root{}, fmt.Errorf("%s: holds a key that cannot sign", privateKey)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return root{}, fmt.Errorf("%s: %w", privateKey, err)
	}
	if !bytes.Equal(public, certificate.RawSubjectPublicKeyInfo) {
		return root{}, fmt.Errorf("%s: is not the key of the certificate in %s", privateKey, certificateKey)
	}
	return root{certificate, key}, nil
}

func decodeCertificate(data map[string][]byte, key string) (*x509.Certificate, error) {
	block, _ := pem.Decode(data[key])
	if block == nil {
		return nil, fmt.Errorf("%s: holds no PEM", key)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if !certificate.IsCA {
		return nil, fmt.Errorf("%s: the certificate of %q may sign no others (CA:FALSE)", key, certificate.Subject.CommonName)
	}
	return certificate, nil
}
