package certificates

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a file, in bytes; a chain has some KiB.
const maxFile = 1 << 20

// content is what stands in the two files of a pair.
type content struct{ cert, key []byte }

func (c content) equal(other content) bool {
	return bytes.Equal(c.cert, other.cert) && bytes.Equal(c.key, other.key)
}

// read reads both files of a pair, and the first one again: a Secret that changed in between would
// give a certificate and a key that do not belong together.
func (p Pair) read() (content, error) {
	const tries = 4
	var c content
	var err error
	for range tries {
		if c.cert, err = readFile(p.CertFile); err != nil {
			return content{}, fmt.Errorf("%s: %w", p.certSetting, err)
		}
		if c.key, err = readFile(p.KeyFile); err != nil {
			return content{}, fmt.Errorf("%s: %w", p.keySetting, err)
		}
		again, err := readFile(p.CertFile)
		if err == nil && bytes.Equal(c.cert, again) {
			return c, nil
		}
	}
	return content{}, fmt.Errorf("%s: %s changes while it is read", p.certSetting, p.CertFile)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err // which says the name, and what was wrong
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return b, nil
}

// parse makes a certificate of what was read.
func (p Pair) parse(c content) (*tls.Certificate, error) {
	if err := holds(c.cert, "CERTIFICATE"); err != nil {
		return nil, fmt.Errorf("%s: %s %w", p.certSetting, p.CertFile, err)
	}
	if err := holds(c.key, "PRIVATE KEY"); err != nil {
		return nil, fmt.Errorf("%s: %s %w", p.keySetting, p.KeyFile, err)
	}
	cert, err := tls.X509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("%s: %s with %s: %s", p.certSetting, p.CertFile, p.KeyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

// holds tells why a PEM file has no block of the kind; nil when it has one.
func holds(text []byte, kind string) error {
	var others []string
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case kind == "PRIVATE KEY" && strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
			return errors.New("holds a key that is encrypted: it must be one without a password")
		case block.Type == kind || kind == "PRIVATE KEY" && strings.HasSuffix(block.Type, " "+kind):
			return nil
		}
		others = append(others, block.Type)
	}
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("is empty")
	case len(others) == 0:
		return errors.New("is not PEM (-----BEGIN " + kind + "-----)")
	}
	return fmt.Errorf("holds no %s, but %s", kind, shortened(strings.Join(others, ", ")))
}

// shortened bounds what a file can put into a log line.
func shortened(text string) string {
	const limit = 100
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}
