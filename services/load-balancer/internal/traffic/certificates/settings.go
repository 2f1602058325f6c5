package certificates

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
)

// maxPairs bounds how many certificates there are: each is looked at in every handshake.
const maxPairs = 256

// Settings are what an operator says of certificates. Both ways to name them may be used together;
// the first one named is the one for who asks for no name, or for one that none has.
type Settings struct {
	CertFiles string // PEM, the certificate first and then its chain, with commas between
	KeyFiles  string // their keys, in the same order
	Dirs      string // folders that hold tls.crt and tls.key, as a Secret is mounted
}

// Declare names them in a set.
func (s *Settings) Declare(set *settings.Set) {
	set.String(&s.CertFiles, "tls-cert-files", "", "PEM files with a certificate and its chain each, with commas between; the first is for clients that ask for no name, or an unknown one")
	set.String(&s.KeyFiles, "tls-key-files", "", "PEM files with their keys, in the same order")
	set.String(&s.Dirs, "tls-cert-dirs", "", "folders with a tls.crt and a tls.key each, as Kubernetes mounts a Secret, with commas between")
}

// Named tells whether a certificate is named.
func (s Settings) Named() bool { return s.CertFiles != "" || s.KeyFiles != "" || s.Dirs != "" }

// Pair is where one certificate is.
type Pair struct {
	CertFile, KeyFile       string
	certSetting, keySetting string // that named them
}

// Pairs are those that the settings name.
func (s Settings) Pairs() ([]Pair, error) {
	certs, keys := list(s.CertFiles), list(s.KeyFiles)
	if len(certs) != len(keys) {
		return nil, fmt.Errorf("tls-key-files: %d files beside %d in tls-cert-files: each certificate needs its key, in the same order", len(keys), len(certs))
	}
	var pairs []Pair
	for i := range certs {
		pairs = append(pairs, Pair{certs[i], keys[i], "tls-cert-files", "tls-key-files"})
	}
	for _, dir := range list(s.Dirs) {
		pairs = append(pairs, Pair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), "tls-cert-dirs", "tls-cert-dirs"})
	}
	if len(pairs) == 0 {
		return nil, errors.New("tls-cert-files: \"\" is not allowed with tls-listen: must name a certificate, here or in tls-cert-dirs")
	}
	if len(pairs) > maxPairs {
		return nil, fmt.Errorf("tls-cert-files, tls-cert-dirs: %d certificates are not allowed: must be at most %d", len(pairs), maxPairs)
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		if seen[p.CertFile] {
			return nil, fmt.Errorf("%s: %q is named twice", p.certSetting, p.CertFile)
		}
		seen[p.CertFile] = true
	}
	return pairs, nil
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
