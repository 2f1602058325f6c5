package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
	"github.com/nemesis-scaling/nemesis/deployments/internal/image"
	"github.com/nemesis-scaling/nemesis/deployments/internal/sbom"
)

// options say what becomes of the images.
type options struct {
	root     string // of the repository
	out      string // folder for archives
	tag      string
	registry string // push there instead, when not empty
	archs    []string
	digests  string        // file for the addresses of what was pushed
	stamp    gobuild.Stamp // of the programs
}

// user is nobody in particular, the same number that distroless images use. A number, so that
// Kubernetes can see that it is not root.
const user = "65532:65532"

const (
	licence       = "Apache-2.0"
	repositoryURL = "https://github.com/nemesis-scaling/nemesis"
)

// makeAll makes the images side by side and prints a line for each as it is done. One that fails does
// not stop the others; all faults are returned.
func makeAll(ctx context.Context, o options, chosen []source, stdout io.Writer) error {
	var (
		mu     sync.Mutex
		faults []error
		all    sync.WaitGroup
		// The go command uses every processor by itself; more than that at once only costs memory.
		slots = make(chan struct{}, max(2, runtime.NumCPU()/2))
	)
	for _, s := range chosen {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			started := time.Now()
			result, err := o.make(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", s.name, err))
				return
			}
			fmt.Fprintf(stdout, "%-22s %s (%.1f s)\n", s.name, result, time.Since(started).Seconds())
		})
	}
	all.Wait()
	return errors.Join(faults...)
}

// make makes one image and says in a few words what came of it.
func (o options) make(ctx context.Context, s source) (string, error) {
	var platforms []image.Platform
	archs, without := s.native.without(o.archs)
	if len(archs) == 0 {
		return "", fmt.Errorf("it needs C, and there is no compiler for %s", strings.Join(o.archs, ", "))
	}
	left := ""
	if len(without) > 0 {
		left = fmt.Sprintf(", not for %s: there is no C compiler for it (Debian: gcc-%s)", strings.Join(without, ", "), strings.ReplaceAll(triplets[without[0]], "_", "-"))
	}
	for _, arch := range archs {
		p, err := o.platform(ctx, s, arch)
		if err != nil {
			return "", err
		}
		platforms = append(platforms, p)
	}
	if o.registry != "" {
		address, err := image.Push(ctx, platforms)
		if err == nil {
			err = record(o.digests, s.name, address)
		}
		return "pushed " + address + left, err
	}
	archive := filepath.Join(o.out, s.name+".tar")
	written, err := image.Write(archive, platforms[0].Spec)
	if err != nil {
		return "", err
	}
	if !written {
		return "unchanged " + archive, nil
	}
	return "wrote " + archive, nil
}

// platform builds the program for one processor, and writes what it consists of beside the archives.
func (o options) platform(ctx context.Context, s source, arch string) (image.Platform, error) {
	program, err := s.program(o.root, arch)
	if err != nil {
		return image.Platform{}, err
	}
	program.Stamp = o.stamp
	binary := filepath.Join(o.root, "build", "images", "bin", arch, s.name)
	if err := gobuild.Compile(ctx, program, binary); err != nil {
		return image.Platform{}, err
	}
	p := image.Platform{Spec: o.spec(s, binary, arch), Document: image.Document{MediaType: sbom.MediaType}}
	var parts []sbom.Part
	if s.native != nil {
		beside, err := s.native.files(ctx, program.Compiler, binary)
		if err != nil {
			return image.Platform{}, err
		}
		part, err := s.native.part(beside)
		if err != nil {
			return image.Platform{}, err
		}
		parts = append(parts, part)
		maps.Copy(p.Files, beside)
	}
	p.Document.Content, err = sbom.Document(sbom.Image{
		Name: s.name, Version: o.stamp.Version, Arch: arch, Files: p.Files, Licence: licence, Licences: moduleLicence, Parts: parts,
	})
	if err != nil {
		return image.Platform{}, err
	}
	return p, replace(filepath.Join(o.out, s.name+"."+arch+".spdx.json"), p.Document.Content)
}

func (o options) spec(s source, binary, arch string) image.Spec {
	repository := "nemesis"
	if o.registry != "" {
		repository = o.registry
	}
	spec := image.Spec{
		Tag:        fmt.Sprintf("%s/%s:%s", repository, s.name, o.tag),
		Files:      map[string]string{"/" + s.name: binary},
		Entrypoint: []string{"/" + s.name},
		User:       user,
		Arch:       arch,
		Labels: map[string]string{
			"org.opencontainers.image.title":       s.name,
			"org.opencontainers.image.description": s.description,
			"org.opencontainers.image.version":     o.stamp.Version,
			"org.opencontainers.image.revision":    o.stamp.Revision,
			"org.opencontainers.image.licenses":    licence,
			"org.opencontainers.image.source":      repositoryURL,
		},
	}
	if s.native != nil {
		spec.Env = gpus
		spec.Labels["org.opencontainers.image.licenses"] = licence + " AND " + s.native.licence
	}
	return spec
}

// gpus are what NVIDIA's container runtime goes by: its driver's library alone, of all GPUs, unless somebody says which.
var gpus = []string{"NVIDIA_DRIVER_CAPABILITIES=utility", "NVIDIA_VISIBLE_DEVICES=all"}
