package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

// largest is how many bytes the program of an image may have, which is all that is in it, but for glibc beside one with C in it. A
// sidecar comes to every node.
var largest = map[string]int64{"sidecar": 8_000_000, "sidecar-nvml": 12_000_000}

func TestImages_WhatStandsBesideEveryApplicationIsSmall(t *testing.T) {
	root, err := repository(".")
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := gobuild.ReadStamp(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range largest {
		chosen, err := choose([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			program, err := chosen[0].program(root, arch)
			if err != nil {
				t.Fatal(err)
			}
			if chosen[0].native != nil && program.Compiler == "" {
				continue
			}
			program.Stamp = stamp
			out := filepath.Join(t.TempDir(), name)
			if err := gobuild.Compile(t.Context(), program, out); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(out)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > most {
				t.Errorf("%s for %s has %d bytes, more than %d: go version -m and go tool nm -size say what came in", name, arch, info.Size(), most)
			}
		}
	}
}
