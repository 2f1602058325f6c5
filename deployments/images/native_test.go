package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/deployments/internal/sbom"
)

func TestNative_IsMadeOnlyWhenItIsNamed(t *testing.T) {
	all, err := choose(nil)
	if err != nil || slices.ContainsFunc(all, func(s source) bool { return s.native != nil }) || len(all) < 5 {
		t.Errorf("%v (%v)", all, err)
	}
	named, err := choose([]string{"sidecar-nvml"})
	if err != nil || len(named) != 1 || named[0].native != glibc {
		t.Errorf("%v (%v)", named, err)
	}
}

func TestNative_IsForTheProcessorsThatThereAreCompilersFor(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	both := []string{runtime.GOARCH, other}
	expect := func(with, without []string) {
		t.Helper()
		gotWith, gotWithout := glibc.without(both)
		if !slices.Equal(gotWith, with) || !slices.Equal(gotWithout, without) {
			t.Errorf("for %v, not for %v; want %v, %v", gotWith, gotWithout, with, without)
		}
	}
	expect(nil, both)
	for name, then := range map[string]func(){
		"gcc":                    func() { expect([]string{runtime.GOARCH}, []string{other}) },
		triplets[other] + "-gcc": func() { expect([]string{other}, []string{runtime.GOARCH}) },
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		then()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	var none *native
	if with, without := none.without(both); !slices.Equal(with, both) || without != nil {
		t.Errorf("a program without C is for %v, not for %v", with, without)
	}
	_, err := options{archs: []string{other}}.make(t.Context(), source{name: "x", native: glibc})
	if err == nil || !strings.Contains(err.Error(), "no compiler for "+other) {
		t.Errorf("error is %v", err)
	}
}

func TestNative_SaysWhichReleaseItIs(t *testing.T) {
	libc := filepath.Join(t.TempDir(), "libc.so.6")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(libc, []byte("\x00\x01"+text+"\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string]string{"/lib/x/libc.so.6": libc, "/lib/x/libm.so.6": libc}
	write("GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n")
	got, err := glibc.part(files)
	want := sbom.Part{Name: "glibc", Version: "2.36", Licence: "LGPL-2.1-or-later", Supplier: "Debian GLIBC 2.36-9+deb12u14", Files: []string{"/lib/x/libc.so.6", "/lib/x/libm.so.6"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	write("another library")
	if _, err := glibc.part(files); err == nil {
		t.Error("what does not say which it is passes")
	}
}

func TestInterpreter_IsNoneOfAStaticProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := interpreter(program); err == nil {
		t.Errorf("%q", name)
	}
}
