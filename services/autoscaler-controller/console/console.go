// Package console serves the web console: static files, which `make console` builds from src and which are embedded.
// It knows nothing and asks nobody; the page asks the API with the caller's own token, as every other caller does.
//
// What is served is public. The policy of the page lets it load and ask nothing but what is of its own origin, run
// no script that is written in it, and be shown in nobody's frame.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Prefix is where it stands.
const Prefix = "/console/"

//go:embed dist
var built embed.FS

// policy is the page's: nothing but what is named.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// file is one, as it is served.
type file struct {
	kind          string
	tag           string // of its content
	plain, packed []byte
	forever       bool // its name is of its content
}

// Handler serves the console.
type Handler struct{ files map[string]*file }

// New reads what was built.
func New() (*Handler, error) {
	h := &Handler{files: map[string]*file{}}
	root, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err //nolint:wrapcheck // below
		}
		h.files[name], err = newFile(name, content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if h.files["index.html"] == nil {
		return nil, fmt.Errorf("console: there is no page: make console")
	}
	return h, nil
}

func newFile(name string, content []byte) (*file, error) {
	sum := sha256.Sum256(content)
	f := &file{kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: content, forever: strings.HasPrefix(name, "assets/")}
	switch path.Ext(name) { // not every system knows them
	case ".js":
		f.kind = "text/javascript; charset=utf-8"
	case ".svg":
		f.kind = "image/svg+xml"
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err //nolint:wrapcheck // of a constant
	}
	if _, err := w.Write(content); err != nil {
		return nil, err //nolint:wrapcheck // it is memory
	}
	if err := w.Close(); err != nil {
		return nil, err //nolint:wrapcheck // it is memory
	}
	if packed.Len() < len(content)*9/10 {
		f.packed = packed.Bytes()
	}
	return f, nil
}

// Is tells whether a request is for the console.
func Is(r *http.Request) bool {
	return r.URL.Path == strings.TrimSuffix(Prefix, "/") || strings.HasPrefix(r.URL.Path, Prefix)
}

// ServeHTTP serves a file.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fault.Write(w, r, fault.New(fault.MethodNotAllowed, "the console is read alone"))
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, Prefix)
	if !below { // the page's links begin where it stands; where a proxy put it nobody here knows
		w.Header().Set("Location", "console/")
		w.WriteHeader(http.StatusFound)
		return
	}
	if name == "" {
		name = "index.html"
	}
	f := h.files[name]
	if f == nil {
		fault.Write(w, r, fault.New(fault.NotFound, "the console has no such file"))
		return
	}
	f.serve(w, r)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Content-Type", f.kind)
	head.Set("ETag", f.tag)
	head.Add("Vary", "Accept-Encoding")
	head.Set("Cache-Control", "no-cache")
	if f.forever {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content := f.plain
	if f.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		head.Set("Content-Encoding", "gzip")
		content = f.packed
	}
	head.Set("Content-Length", fmt.Sprint(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // the client has gone: nothing to do
	}
}
