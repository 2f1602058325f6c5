package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module writes a small module and gives an artifact of it.
func module(t *testing.T) *Artifact {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example.test/sample\n\ngo 1.26.9\n",
		"go.sum":         "",
		"main.go":        "package main\n\nfunc main() { println(\"one\") }\n",
		"inner/inner.go": "package inner\n",
	} {
		write(t, filepath.Join(folder, name), content)
	}
	return &Artifact{
		Name: "sample", Module: folder, Packages: map[string]string{"sample": "."},
		LDFlags: "-s -w", Usual: time.Second, Into: t.TempDir(),
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t *testing.T, a *Artifact) string {
	t.Helper()
	hash, err := a.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestHash_ChangesWithWhateverDecidesTheProgram(t *testing.T) {
	changes := map[string]func(*Artifact){
		"source": func(a *Artifact) { write(t, filepath.Join(a.Module, "main.go"), "package main\n\nfunc main() {}\n") },
		"nested source": func(a *Artifact) {
			write(t, filepath.Join(a.Module, "inner", "inner.go"), "package inner\n\nvar X int\n")
		},
		"new source": func(a *Artifact) { write(t, filepath.Join(a.Module, "more.go"), "package main\n") },
		"go.sum":     func(a *Artifact) { write(t, filepath.Join(a.Module, "go.sum"), "x\n") },
		"toolchain": func(a *Artifact) {
			write(t, filepath.Join(a.Module, "go.mod"), "module example.test/sample\n\ngo 1.26.8\n")
		},
		"linker flags":   func(a *Artifact) { a.LDFlags = "" },
		"what it builds": func(a *Artifact) { a.Packages = map[string]string{"sample": "./inner"} },
	}
	for what, change := range changes {
		t.Run(what, func(t *testing.T) {
			a := module(t)
			before := hashOf(t, a)
			if again := hashOf(t, a); again != before {
				t.Fatal("the hash changes by itself")
			}
			change(a)
			if hashOf(t, a) == before {
				t.Error("the change was not noticed")
			}
		})
	}
}

func TestHash_IsTheSameInAnotherFolder(t *testing.T) {
	one, other := module(t), module(t)
	if hashOf(t, one) != hashOf(t, other) {
		t.Error("two checkouts of the same sources have different hashes")
	}
}

func TestHash_WantsAToolchainInGoMod(t *testing.T) {
	a := module(t)
	write(t, filepath.Join(a.Module, "go.mod"), "module example.test/sample\n")
	if _, err := a.Hash(); err == nil {
		t.Error("a module without a toolchain was accepted")
	}
}

func TestRun_BuildsOnceAndIsUpToDateThen(t *testing.T) {
	a := module(t)
	expectUpToDate(t, a, false)
	if err := NewJob(a).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectUpToDate(t, a, true)
	write(t, filepath.Join(a.Module, "main.go"), "package main\n\nfunc main() { println(\"two\") }\n")
	expectUpToDate(t, a, false)
}

func TestUpToDate_NoticesAMissingProgram(t *testing.T) {
	a := module(t)
	if err := NewJob(a).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(a.Into, "sample")); err != nil {
		t.Fatal(err)
	}
	expectUpToDate(t, a, false)
}

func TestRun_ShowsWhatTheCompilerSaidAndKeepsTheOldProgram(t *testing.T) {
	a := module(t)
	if err := NewJob(a).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.Module, "main.go"), "package main\n\nfunc main() { undefinedName() }\n")
	err := NewJob(a).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "undefinedName") {
		t.Errorf("the error does not tell what is wrong: %v", err)
	}
	if _, err := os.Stat(filepath.Join(a.Into, "sample")); err != nil {
		t.Errorf("the old program is gone: %v", err)
	}
}

func expectUpToDate(t *testing.T, a *Artifact, want bool) {
	t.Helper()
	got, err := a.UpToDate()
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("up to date: %v, want %v", got, want)
	}
}
