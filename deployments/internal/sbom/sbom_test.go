package sbom_test

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdx/tools-golang/json"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/nemesis-scaling/nemesis/deployments/internal/sbom"
)

// newImage holds a program of this module, since a test's says nothing of its modules, and a file that is none.
func newImage(t *testing.T) sbom.Image {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sample")
	if said, err := exec.Command("go", "build", "-o", program, "../../licences").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sbom.Image{
		Name: "sample", Version: "1.2.3", Arch: "amd64", Files: map[string]string{"/sample": program, "/etc/text": text},
		Licence: "Apache-2.0", Licences: func(path, _ string) (string, error) { return "LicenseRef-" + filepath.Base(path), nil },
	}
}

func read(t *testing.T, image sbom.Image) (*spdx.Document, []byte) {
	t.Helper()
	raw, err := sbom.Document(image)
	if err != nil {
		t.Fatal(err)
	}
	var d spdx.Document
	if err := json.ReadInto(bytes.NewReader(raw), &d); err != nil {
		t.Fatal(err)
	}
	return &d, raw
}

func TestDocument_NamesFilesAndModules(t *testing.T) {
	image := newImage(t)
	d, raw := read(t, image)
	if d.SPDXVersion != "SPDX-2.3" || d.DataLicense != "CC0-1.0" || d.CreationInfo == nil || d.DocumentNamespace == "" {
		t.Errorf("head: %.400s", raw)
	}
	if _, again := read(t, image); !bytes.Equal(raw, again) {
		t.Error("the same image gives two documents")
	}
	files := map[string]string{}
	for _, f := range d.Files {
		for _, sum := range f.Checksums {
			files[f.FileName+" "+string(sum.Algorithm)] = sum.Value
		}
	}
	if files["./etc/text SHA1"] != "a9993e364706816aba3e25717850c26c9cd0d89d" || files["./etc/text SHA256"] != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || len(files) != 4 {
		t.Errorf("files: %v", files)
	}
	found := map[string]*spdx.Package{}
	ids := map[string]bool{}
	for _, p := range d.Packages {
		found[p.PackageName+"@"+p.PackageVersion] = p
		if ids[string(p.PackageSPDXIdentifier)] {
			t.Errorf("two packages are %s", p.PackageSPDXIdentifier)
		}
		ids[string(p.PackageSPDXIdentifier)] = true
	}
	info, err := buildinfo.ReadFile(image.Files["/sample"])
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) == 0 {
		t.Fatal("the test's program names no modules")
	}
	for _, m := range info.Deps {
		p := found[m.Path+"@"+m.Version]
		if p == nil || p.PackageLicenseDeclared != "LicenseRef-"+filepath.Base(m.Path) || p.PackageExternalReferences[0].Locator != "pkg:golang/"+m.Path+"@"+m.Version {
			t.Errorf("%s@%s: %+v", m.Path, m.Version, p)
		}
	}
	for _, name := range []string{"nemesis/sample@1.2.3", info.Main.Path + "@v1.2.3", "stdlib@" + strings.TrimPrefix(info.GoVersion, "go")} {
		if found[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	for _, r := range d.Relationships {
		for _, id := range []string{string(r.RefA.ElementRefID), string(r.RefB.ElementRefID)} {
			if !ids[id] && id != "DOCUMENT" && !strings.HasPrefix(id, "file-") {
				t.Errorf("a relationship names %s, which is not there", id)
			}
		}
	}
}

// The services are built with modules beside them, by a replacement in go.mod.
func TestDocument_ModulesOfTheSameRepositoryHaveItsVersionAndLicence(t *testing.T) {
	root := t.TempDir()
	for path, content := range map[string]string{
		"a/go.mod":  "module example.com/a\n\ngo 1.26.9\n\nrequire example.com/b v0.0.0\n\nreplace example.com/b => ../b\n",
		"a/main.go": "package main\n\nimport \"example.com/b\"\n\nfunc main() { b.B() }\n",
		"b/go.mod":  "module example.com/b\n\ngo 1.26.9\n", "b/b.go": "package b\n\nfunc B() {}\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "program", ".")
	build.Dir = filepath.Join(root, "a")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	image := newImage(t)
	image.Files = map[string]string{"/sample": filepath.Join(root, "a/program")}
	d, raw := read(t, image)
	for _, p := range d.Packages {
		if p.PackageName == "example.com/b" {
			if p.PackageVersion != "v1.2.3" || p.PackageLicenseDeclared != "Apache-2.0" {
				t.Errorf("%+v", p)
			}
			return
		}
	}
	t.Errorf("example.com/b is not there:\n%s", raw)
}

func TestDocument_OtherFilesAreAnotherDocument(t *testing.T) {
	image := newImage(t)
	first, _ := read(t, image)
	delete(image.Files, "/sample")
	second, _ := read(t, image)
	if first.DocumentNamespace == second.DocumentNamespace {
		t.Errorf("both are %s", first.DocumentNamespace)
	}
}

func TestDocument_Refuses(t *testing.T) {
	image := newImage(t)
	image.Licences = func(string, string) (string, error) { return "", errors.New("no cache") }
	if _, err := sbom.Document(image); err == nil || !strings.Contains(err.Error(), "no cache") || !strings.Contains(err.Error(), "/sample of the image sample") {
		t.Errorf("error is %v", err)
	}
	image.Files = map[string]string{"/a": "/does/not/exist"}
	if _, err := sbom.Document(image); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Errorf("error is %v", err)
	}
}

func TestDocument_NamesWhatSomebodyElseBuilt(t *testing.T) {
	image := newImage(t)
	image.Parts = []sbom.Part{{Name: "glibc", Version: "2.36", Licence: "LGPL-2.1-or-later", Supplier: "Debian GLIBC 2.36-9", Files: []string{"/etc/text"}}}
	d, _ := read(t, image)
	found := false
	for _, p := range d.Packages {
		if p.PackageName == "glibc" {
			found = p.PackageVersion == "2.36" && p.PackageLicenseDeclared == "LGPL-2.1-or-later" && p.PackageSourceInfo == "Debian GLIBC 2.36-9"
		}
	}
	if !found {
		t.Errorf("%+v", d.Packages)
	}
	related := map[string]bool{}
	for _, r := range d.Relationships {
		related[string(r.RefA.ElementRefID)+" "+r.Relationship+" "+string(r.RefB.ElementRefID)] = true
	}
	for _, want := range []string{"image CONTAINS part-glibc-2.36", "part-glibc-2.36 CONTAINS file-..etc..text"} {
		if !related[want] {
			t.Errorf("no %q among %v", want, related)
		}
	}
}
