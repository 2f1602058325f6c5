package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	artifact = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:%s:zip"
	plugin   = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
	largest  = 1 << 30 // of a file in the archive
)

// fetch returns the archive of r, fetched through Maven unless it is in the cache, and verified in
// any case: a download that was cut off is fetched anew.
func fetch(ctx context.Context, r release) (string, error) {
	folder, err := cache()
	if err != nil {
		return "", err
	}
	archive := filepath.Join(folder, "elasticsearch-"+r.Version+".zip")
	if verify(archive, r.SHA256) == nil {
		return archive, nil
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	if err := obtainable(r); err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "Fetching Elasticsearch %s through Maven (about 100 MB) ...\n", r.Version)
	mvn := exec.CommandContext(ctx, "mvn", "--batch-mode", "--quiet", plugin, //nolint:gosec // the versions above
		"-Dartifact="+fmt.Sprintf(artifact, r.Version), "-DoutputDirectory="+folder, "-Dmdep.overWriteReleases=true")
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("maven did not fetch Elasticsearch %s: %w\n%s", r.Version, err, out)
	}
	return archive, verify(archive, r.SHA256)
}

// obtainable tells why the archive of r cannot be had; what is in the cache needs no Maven.
func obtainable(r release) error {
	if _, err := exec.LookPath("mvn"); err == nil {
		return nil
	}
	if folder, err := cache(); err == nil {
		if _, err := os.Stat(filepath.Join(folder, "elasticsearch-"+r.Version+".zip")); err == nil {
			return nil
		}
	}
	return errors.New("maven is missing, which fetches it (Debian: apt-get install maven)")
}

func cache() (string, error) {
	base := os.Getenv("NEMESIS_CACHE")
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache directory: %w; set NEMESIS_CACHE", err)
		}
		base = filepath.Join(user, "nemesis")
	}
	return filepath.Join(base, "elasticsearch"), nil
}

func verify(archive, want string) error {
	f, err := os.Open(archive) //nolint:gosec // a file of the cache
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s has the SHA-256 %s, not %s", archive, got, want)
	}
	return nil
}

// unpack writes the archive's one folder as target.
func unpack(archive, target string) error {
	r, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, f := range r.File {
		_, name, _ := strings.Cut(f.Name, "/")
		if name == "" {
			continue
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s: the name %q leads out of it", archive, f.Name)
		}
		if err := unpackFile(f, filepath.Join(target, name)); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(f *zip.File, path string) error {
	if f.FileInfo().IsDir() {
		return os.MkdirAll(path, 0o755) //nolint:gosec // its user is another one
	}
	if f.UncompressedSize64 > largest {
		return errors.New(f.Name + " is too large")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // its user is another one
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	mode := fs.FileMode(0o644)
	if f.Mode()&0o100 != 0 || strings.Contains(filepath.ToSlash(path), "/bin/") {
		mode = 0o755
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode) //nolint:gosec // below target, see above
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, in, int64(f.UncompressedSize64))
	return errors.Join(err, out.Close())
}
