package main

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/deployments/internal/sbom"
)

// native is what a program with C in it has beside it in its image: the C library that it was linked with, in place of a
// distribution. No base image is pulled, and none has to be kept up to date; a build on a machine that is up to date is.
type native struct {
	name      string // of the library, as an SBOM has it
	licence   string
	libraries []string // the loader is not among them: the program names it
}

// glibc is what NVIDIA's driver library was linked with: its own parts, some of which are empty since glibc 2.34 and still
// asked for.
var glibc = &native{"glibc", "LGPL-2.1-or-later", []string{"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"}}

// triplets are how compilers for other processors are called.
var triplets = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

// compiler is the C compiler for a processor; "" when this machine has none.
func compiler(arch string) string {
	names := []string{triplets[arch] + "-gcc"}
	if arch == runtime.GOARCH {
		names = []string{"gcc"}
	}
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return ""
}

// without tells the processors for which no compiler is there from those that have one.
func (n *native) without(archs []string) (with, without []string) {
	for _, arch := range archs {
		if n == nil || compiler(arch) != "" {
			with = append(with, arch)
		} else {
			without = append(without, arch)
		}
	}
	return with, without
}

// files are the libraries and the loader for a program, by their places in the image: those in which the loader looks by itself.
func (n *native) files(ctx context.Context, compiler, binary string) (map[string]string, error) {
	loader, err := interpreter(binary)
	if err != nil {
		return nil, err
	}
	multiarch, err := ask(ctx, compiler, "-print-multiarch")
	if err != nil {
		return nil, err
	}
	folder := "/lib64" // where there is one folder for each width, and none for each processor
	if multiarch != "" {
		folder = path.Join("/lib", multiarch)
	}
	all := map[string]string{}
	for target, name := range n.places(folder, loader) {
		file, err := ask(ctx, compiler, "-print-file-name="+name)
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(file) {
			return nil, fmt.Errorf("%s knows no %s", compiler, name)
		}
		if all[target], err = filepath.EvalSymlinks(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (n *native) places(folder, loader string) map[string]string {
	places := map[string]string{loader: path.Base(loader)}
	for _, name := range n.libraries {
		places[path.Join(folder, name)] = name
	}
	return places
}

// ask is what a compiler says of itself.
func ask(ctx context.Context, compiler, question string) (string, error) {
	said, err := exec.CommandContext(ctx, compiler, question).Output() //nolint:gosec // a compiler of this machine
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", compiler, question, err)
	}
	return strings.TrimSpace(string(said)), nil
}

// interpreter is the loader that a program names.
func interpreter(binary string) (string, error) {
	file, err := elf.Open(binary)
	if err != nil {
		return "", err
	}
	defer file.Close()
	i := slices.IndexFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if i < 0 {
		return "", fmt.Errorf("%s names no loader: it is linked statically, and could load no library", binary)
	}
	name, err := io.ReadAll(file.Progs[i].Open())
	return strings.TrimRight(string(name), "\x00"), err
}

// release is how a glibc says which it is.
var release = regexp.MustCompile(`GNU C Library \((.+)\) stable release version ([0-9.]+[0-9])`)

// part is the library as a part of the image, for its SBOM.
func (n *native) part(files map[string]string) (sbom.Part, error) {
	p := sbom.Part{Name: n.name, Licence: n.licence}
	for target, file := range files {
		p.Files = append(p.Files, target)
		if path.Base(target) != n.libraries[0] {
			continue
		}
		content, err := os.ReadFile(file) //nolint:gosec // a library of this machine
		if err != nil {
			return sbom.Part{}, err
		}
		match := release.FindSubmatch(content)
		if match == nil {
			return sbom.Part{}, fmt.Errorf("%s does not say which release it is", file)
		}
		p.Version, p.Supplier = string(match[2]), string(match[1])
	}
	slices.Sort(p.Files)
	return p, nil
}
