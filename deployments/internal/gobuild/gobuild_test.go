package gobuild_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

const goMod = "module example.com/sample\n\ngo 1.26.9\n"

func newModule(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestCompile_SameSourceElsewhereGivesSameProgram(t *testing.T) {
	files := map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() { println(\"here\") }\n"}
	var programs [2]string
	for i := range programs {
		out := filepath.Join(t.TempDir(), "bin", "sample")
		err := gobuild.Compile(t.Context(), gobuild.Program{Module: newModule(t, files), Package: ".", Arch: runtime.GOARCH}, out)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		programs[i] = string(content)
	}
	if programs[0] != programs[1] {
		t.Error("the same source in two folders gave different programs")
	}
}

func TestCompile_FaultCarriesTheCompilersWords(t *testing.T) {
	module := newModule(t, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() { missing() }\n"})
	err := gobuild.Compile(t.Context(), gobuild.Program{Module: module, Package: ".", Arch: runtime.GOARCH}, filepath.Join(t.TempDir(), "sample"))
	if err == nil || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("error is %v, want the compiler's", err)
	}
}

func TestCompile_EndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	module := newModule(t, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() {}\n"})
	err := gobuild.Compile(ctx, gobuild.Program{Module: module, Package: ".", Arch: runtime.GOARCH}, filepath.Join(t.TempDir(), "sample"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the cancelled context", err)
	}
}

func TestToolchain(t *testing.T) {
	cases := map[string]struct{ content, want string }{
		"full version":   {goMod, "go1.26.9"},
		"windows lines":  {"module a\r\n\r\ngo 1.26.9\r\n", "go1.26.9"},
		"no patch":       {"module a\n\ngo 1.26\n", ""},
		"no line at all": {"module a\n", ""},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			got, err := gobuild.Toolchain(newModule(t, map[string]string{"go.mod": c.content}))
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}
