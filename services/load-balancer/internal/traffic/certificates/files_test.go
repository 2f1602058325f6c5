package certificates

import (
	"bytes"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
)

func declared(t *testing.T, args ...string) Settings {
	t.Helper()
	var s Settings
	set := settings.New("test", "NEMESIS_", io.Discard)
	s.Declare(set)
	if err := set.Load(args, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPairs_AreFilesAndThenFolders(t *testing.T) {
	s := declared(t, "-tls-cert-files", "/a.crt, /b.crt", "-tls-key-files", "/a.key,/b.key,", "-tls-cert-dirs", "/c,/d/")
	pairs, err := s.Pairs()
	if err != nil || !s.Named() {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pairs {
		got = append(got, p.CertFile+" "+p.KeyFile)
	}
	if want := "/a.crt /a.key;/b.crt /b.key;/c/tls.crt /c/tls.key;/d/tls.crt /d/tls.key"; strings.Join(got, ";") != want {
		t.Errorf("%v", got)
	}
	if declared(t).Named() {
		t.Error("nothing is named, and it says so")
	}
}

func TestPairs_NameWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		`tls-cert-files: "" is not allowed with tls-listen`:     nil,
		`tls-key-files: 1 files beside 2 in tls-cert-files`:     {"-tls-cert-files", "/a,/b", "-tls-key-files", "/a"},
		`tls-key-files: 1 files beside 0 in tls-cert-files`:     {"-tls-key-files", "/a"},
		`tls-cert-dirs: "/a/tls.crt" is named twice`:            {"-tls-cert-dirs", "/a,/a/"},
		`257 certificates are not allowed: must be at most 256`: {"-tls-cert-dirs", strings.Repeat("/a,", 257)},
	} {
		if _, err := declared(t, args...).Pairs(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}

func TestLoad_NamesSettingFileAndFault(t *testing.T) {
	good, other := makeFor(t, "ecdsa", time.Hour, "a.example"), makeFor(t, "rsa", time.Hour, "a.example")
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	old := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-128-CBC,00"}, Bytes: []byte("x")})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte("x")})
	for _, c := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"the other's key", good.cert, other.key, "tls-cert-files: {cert} with {key}: private key type does not match public key type"},
		{"nothing", nil, good.key, "tls-cert-files: {cert} is empty"},
		{"white space", good.cert, []byte(" \n"), "tls-key-files: {key} is empty"},
		{"no PEM", []byte("\x30\x82"), good.key, "tls-cert-files: {cert} is not PEM (-----BEGIN CERTIFICATE-----)"},
		{"swapped", good.key, good.cert, "tls-cert-files: {cert} holds no CERTIFICATE, but PRIVATE KEY"},
		{"a certificate in place of the key", good.cert, good.cert, "tls-key-files: {key} holds no PRIVATE KEY, but CERTIFICATE"},
		{"a password", good.cert, encrypted, "tls-key-files: {key} holds a key that is encrypted"},
		{"a password in the old way", good.cert, old, "tls-key-files: {key} holds a key that is encrypted"},
		{"no certificate in it", broken, good.key, "tls-cert-files: {cert} with {key}: x509: malformed"},
		{"parameters alone", good.cert, bytes.Repeat(parameters, 50), "tls-key-files: {key} holds no PRIVATE KEY, but EC PARAMETERS, "},
		{"too much", bytes.Repeat([]byte("x"), maxFile+1), good.key, "tls-cert-files: {cert} has more than 1048576 bytes"},
	} {
		p := pairOf(t, good)
		write(t, p.CertFile, c.cert)
		write(t, p.KeyFile, c.key)
		_, err := Load([]Pair{p}, now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		want := strings.NewReplacer("{cert}", p.CertFile, "{key}", p.KeyFile).Replace(c.want)
		if err == nil || !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 600 {
			t.Errorf("%s: %v\nwant %s", c.name, err, want)
		}
	}
}

func TestLoad_TakesWhatOperatorsHave(t *testing.T) {
	leaf, chain := makeFor(t, "ecdsa", time.Hour, "a.example"), makeFor(t, "rsa", time.Hour, "ca.example")
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte("x")})
	for name, c := range map[string]made{
		"a chain":                    {cert: append(bytes.Clone(leaf.cert), chain.cert...), key: leaf.key},
		"words around":               {cert: append([]byte("subject=CN = a\n"), leaf.cert...), key: append([]byte("Bag Attributes\n"), leaf.key...)},
		"parameters before the key":  {cert: leaf.cert, key: append(bytes.Clone(parameters), leaf.key...)},
		"both in both files":         {cert: append(bytes.Clone(leaf.cert), leaf.key...), key: append(bytes.Clone(leaf.cert), leaf.key...)},
		"ends of lines from Windows": {cert: bytes.ReplaceAll(leaf.cert, []byte("\n"), []byte("\r\n")), key: leaf.key},
	} {
		if _, err := Load([]Pair{pairOf(t, c)}, now, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoad_NamesTheFaultsOfAllPairs(t *testing.T) {
	dir := t.TempDir()
	pairs, err := Settings{CertFiles: filepath.Join(dir, "none.crt"), KeyFiles: filepath.Join(dir, "none.key"), Dirs: filepath.Join(dir, "secret")}.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(pairs, now, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for _, want := range []string{"tls-cert-files: open " + dir + "/none.crt: no such file", "tls-cert-dirs: open " + dir + "/secret/tls.crt: no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestRead_IsNotFooledByAFolder(t *testing.T) {
	p := pairOf(t, makeFor(t, "ecdsa", time.Hour, "a.example"))
	if err := os.Remove(p.KeyFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.KeyFile, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := p.read(); err == nil || !strings.HasPrefix(err.Error(), "tls-key-files: ") || !strings.Contains(err.Error(), p.KeyFile) {
		t.Errorf("%v", err)
	}
}
