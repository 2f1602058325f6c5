// Package sbom says what an image consists of, as SPDX 2.3: its files with their checksums, and the Go
// modules that a program among them was built from, as the program itself tells (debug/buildinfo), with
// the licences that their texts hold. The same image gives the same document.
package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // SPDX asks for it beside SHA-256
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

// MediaType is of the documents.
const MediaType = "application/spdx+json"

// Image is what a document is about.
type Image struct {
	Name     string            // "load-balancer"
	Version  string            // of the image, and of the modules of its repository
	Arch     string            // GOARCH
	Files    map[string]string // absolute path in the image -> file on this machine
	Licence  string            // of the image itself, as SPDX names it
	Licences func(path, version string) (string, error)
	Parts    []Part
}

// Part is something of somebody else's that is in an image as it is.
type Part struct {
	Name, Version, Licence string
	Supplier               string   // as it calls its own package: "Debian GLIBC 2.36-9+deb12u9"
	Files                  []string // of the image
}

const (
	unknown = "NOASSERTION"
	none    = "NONE"
	// purl is the namespace of Go modules in package URLs.
	purl = "pkg:golang/"
)

// Document is the SPDX document, as JSON.
func Document(image Image) ([]byte, error) {
	d := document{image: image, packages: map[string]*spdx.Package{}}
	self := &spdx.Package{
		PackageName: "nemesis/" + image.Name, PackageSPDXIdentifier: "image", PackageVersion: image.Version,
		PackageDownloadLocation: unknown, IsFilesAnalyzedTagPresent: true,
		PackageLicenseDeclared: image.Licence, PackageLicenseConcluded: unknown, PackageCopyrightText: unknown, PrimaryPackagePurpose: "CONTAINER",
	}
	d.packages["image"] = self
	d.relate("DOCUMENT", common.TypeRelationshipDescribe, "image")
	whole := sha256.New()
	for _, target := range slices.Sorted(maps.Keys(image.Files)) {
		if err := d.file(target, image.Files[target], whole); err != nil {
			return nil, fmt.Errorf("%s of the image %s: %w", target, image.Name, err)
		}
	}
	for _, p := range image.Parts {
		d.part(p)
	}
	made := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      fmt.Sprintf("nemesis/%s %s linux/%s", image.Name, image.Version, image.Arch),
		DocumentNamespace: fmt.Sprintf("https://github.com/nemesis-scaling/nemesis/sbom/%s-%s-%x", image.Name, image.Arch, whole.Sum(nil)),
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "nemesis-deployments-images"}},
			Created:  "1970-01-01T00:00:00Z", // as everything in an image: a real time would make every build another document
		},
		Packages: d.sorted(), Files: d.files, Relationships: d.relationships,
	}
	var out bytes.Buffer
	if err := json.Write(made, &out, json.Indent("  ")); err != nil {
		return nil, fmt.Errorf("SPDX document of %s: %w", image.Name, err)
	}
	return append(out.Bytes(), '\n'), nil
}

// document collects what a document holds.
type document struct {
	image         Image
	packages      map[string]*spdx.Package // by their identifier
	files         []*spdx.File
	relationships []*spdx.Relationship
}

func (d *document) sorted() []*spdx.Package {
	return slices.SortedFunc(maps.Values(d.packages), func(a, b *spdx.Package) int {
		return cmp.Compare(a.PackageSPDXIdentifier, b.PackageSPDXIdentifier)
	})
}

func (d *document) relate(a common.ElementID, how string, b common.ElementID) {
	d.relationships = append(d.relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: a}, Relationship: how, RefB: common.DocElementID{ElementRefID: b},
	})
}

// file adds a file of the image, and what it was built from if it is a Go program.
func (d *document) file(target, source string, whole io.Writer) error {
	file, err := os.Open(source) //nolint:gosec // the caller chooses what goes into its image
	if err != nil {
		return err
	}
	defer file.Close()
	one, other := sha1.New(), sha256.New() //nolint:gosec // as above
	if _, err := io.Copy(io.MultiWriter(one, other, whole), file); err != nil {
		return err
	}
	id := identifier("file", target)
	d.files = append(d.files, &spdx.File{
		FileName: "." + target, FileSPDXIdentifier: id, FileTypes: []string{"BINARY"},
		Checksums: []common.Checksum{
			{Algorithm: common.SHA1, Value: hex.EncodeToString(one.Sum(nil))}, {Algorithm: common.SHA256, Value: hex.EncodeToString(other.Sum(nil))},
		},
		LicenseConcluded: unknown, LicenseInfoInFiles: []string{none}, FileCopyrightText: unknown,
	})
	d.relate("image", common.TypeRelationshipContains, id)
	info, err := buildinfo.Read(file)
	if err != nil {
		return nil // not a Go program: it has no more to say
	}
	return d.program(id, info)
}

// program adds the modules of a program, each once however many programs of the image have it.
func (d *document) program(file common.ElementID, info *debug.BuildInfo) error {
	std := d.add("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "BSD-3-Clause")
	d.relate(file, common.TypeRelationshipGeneratedFrom, std)
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		path, version, licence := m.Path, m.Version, d.image.Licence
		switch {
		case m == &info.Main || m.Replace != nil && isFolder(m.Replace.Path): // of this repository
			version = "v" + d.image.Version
		default:
			if m.Replace != nil {
				path, version = m.Replace.Path, m.Replace.Version
			}
			var err error
			if licence, err = d.image.Licences(path, version); err != nil {
				return fmt.Errorf("licence of %s@%s: %w", path, version, err)
			}
		}
		d.relate(file, common.TypeRelationshipGeneratedFrom, d.add(path, version, licence))
	}
	return nil
}

// part adds what is in the image as somebody else has built it.
func (d *document) part(p Part) {
	id := identifier("part", p.Name+"-"+p.Version)
	d.packages[string(id)] = &spdx.Package{
		PackageName: p.Name, PackageSPDXIdentifier: id, PackageVersion: p.Version, PackageDownloadLocation: unknown, PackageSourceInfo: p.Supplier,
		IsFilesAnalyzedTagPresent: true, PackageLicenseDeclared: p.Licence, PackageLicenseConcluded: unknown, PackageCopyrightText: unknown,
	}
	d.relate("image", common.TypeRelationshipContains, id)
	for _, target := range p.Files {
		d.relate(id, common.TypeRelationshipContains, identifier("file", target))
	}
}

// isFolder tells a replacement on the disk from one by another module, as go.mod does.
func isFolder(path string) bool {
	return strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") || filepath.IsAbs(path)
}

func (d *document) add(path, version, licence string) common.ElementID {
	id := identifier("go", path+"-"+version)
	if d.packages[string(id)] == nil {
		d.packages[string(id)] = &spdx.Package{
			PackageName: path, PackageSPDXIdentifier: id, PackageVersion: version, PackageDownloadLocation: unknown,
			IsFilesAnalyzedTagPresent: true, PackageLicenseDeclared: licence, PackageLicenseConcluded: unknown, PackageCopyrightText: unknown,
			PackageExternalReferences: []*spdx.PackageExternalReference{{
				Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl + path + "@" + version,
			}},
		}
	}
	return id
}

// identifier is one of SPDX: letters, digits, dots and dashes. What else a name has is written by its
// number, so that two names never meet.
func identifier(kind, name string) common.ElementID {
	var b strings.Builder
	b.WriteString(kind + "-")
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			b.WriteRune(r)
		case r == '/':
			b.WriteString("..")
		default:
			fmt.Fprintf(&b, ".%x.", r)
		}
	}
	return common.ElementID(b.String())
}
