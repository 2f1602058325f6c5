package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// newRepository has two of the sources as tiny programs, in the module layout of the real one.
func newRepository(t *testing.T, balancer string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"go.work":                       "go 1.26.9\n",
		"VERSION":                       "1.2.3\n",
		"services/load-balancer/go.mod": "module example.com/lb\n\ngo 1.26.9\n",
		"services/load-balancer/cmd/load-balancer/main.go": balancer,
		"e2e/go.mod":                 "module example.com/e2e\n\ngo 1.26.9\n",
		"e2e/apps/fibonacci/main.go": "package main\n\nfunc main() {}\n",
	}
	for path, content := range files {
		target := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const fine = "package main\n\nfunc main() { println(\"balancer\") }\n"

func runIn(t *testing.T, root string, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), append([]string{"-repository", root}, args...), &stdout, &stderr)
	return stdout.String() + stderr.String(), err
}

func TestRun_WritesArchivesOnceAndAgainWhenTheSourceChanged(t *testing.T) {
	root := newRepository(t, fine)
	names := []string{"load-balancer", "fibonacci"}
	expect := func(want ...string) {
		t.Helper()
		out, err := runIn(t, root, names...)
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range want {
			if !strings.Contains(out, words) {
				t.Errorf("output lacks %q:\n%s", words, out)
			}
		}
	}
	balancer := filepath.Join(root, "build", "images", "load-balancer.tar")
	fibonacci := filepath.Join(root, "build", "images", "fibonacci.tar")
	expect("wrote "+balancer, "wrote "+fibonacci)
	expect("unchanged "+balancer, "unchanged "+fibonacci)
	source := filepath.Join(root, "services/load-balancer/cmd/load-balancer/main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(2) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("wrote "+balancer, "unchanged "+fibonacci)

	tag, err := name.NewTag("nemesis/load-balancer:dev")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(balancer, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/load-balancer"}, config.Config.Entrypoint); diff != "" {
		t.Errorf("entrypoint (-want +got):\n%s", diff)
	}
	if labels := config.Config.Labels; labels["org.opencontainers.image.version"] != "1.2.3" || labels["org.opencontainers.image.revision"] != "unknown" {
		t.Errorf("labels are %v", labels)
	}
	if config.Config.User != "65532:65532" || config.Architecture != runtime.GOARCH {
		t.Errorf("user %q, architecture %q", config.Config.User, config.Architecture)
	}
}

func TestRun_OneBrokenProgramDoesNotStopTheOthers(t *testing.T) {
	root := newRepository(t, "package main\n\nfunc main() { broken() }\n")
	out, err := runIn(t, root, "load-balancer", "fibonacci")
	if err == nil || !strings.Contains(err.Error(), "load-balancer: ") || !strings.Contains(err.Error(), "undefined: broken") {
		t.Errorf("error is %v, want the compiler's for load-balancer", err)
	}
	if !strings.Contains(out, "wrote") {
		t.Errorf("fibonacci was not written:\n%s", out)
	}
}

func TestRun_RefusesBeforeAnythingIsBuilt(t *testing.T) {
	cases := map[string]struct {
		root string
		args []string
		want string
	}{
		"unknown image": {newRepository(t, fine), []string{"nginx"}, `no image is called "nginx"; there are autoscaler-controller,`},
		"no repository": {t.TempDir(), nil, "no go.work"},
		"unknown flag":  {newRepository(t, fine), []string{"-frobnicate"}, "frobnicate"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			_, err := runIn(t, c.root, c.args...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(c.root, "build")); err == nil {
				t.Error("something was built")
			}
		})
	}
}

// The list names real programs: a moved one must not be noticed only when somebody builds an image.
func TestSources_AreMainPackagesOfThisRepository(t *testing.T) {
	root, err := repository(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		program, err := s.program(root, runtime.GOARCH)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := os.Stat(filepath.Join(program.Module, program.Package, "main.go")); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}
