package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/nemesis-scaling/nemesis/deployments/internal/gobuild"
)

// Each service can be built in two ways. These tests read its Dockerfile with BuildKit's own parser
// and hold it to the other way: the same configuration, and the same bytes of the same program.

// dockerfile is a parsed one with a stage that builds and a stage that ships.
type dockerfile struct {
	args        map[string]string // with their defaults
	build, ship instructions.Stage
}

func readDockerfile(t *testing.T, root string, s source) dockerfile {
	t.Helper()
	module := filepath.Dir(filepath.Dir(s.folder)) // of .../cmd/NAME
	name := "Dockerfile"
	if filepath.Base(module) != s.name { // a second program of a service
		name = s.name + ".Dockerfile"
	}
	content, err := os.ReadFile(filepath.Join(root, module, name))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var warned []string
	warn := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) {
		warned = append(warned, rule+": "+message)
	}})
	stages, global, err := instructions.Parse(tree.AST, warn)
	if err != nil {
		t.Fatal(err)
	}
	if len(warned) > 0 {
		t.Errorf("BuildKit warns: %s", strings.Join(warned, "; "))
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages, want 2", len(stages))
	}
	d := dockerfile{args: map[string]string{}, build: stages[0], ship: stages[1]}
	for _, arg := range global {
		for _, pair := range arg.Args {
			d.args[pair.Key] = *pair.Value
		}
	}
	return d
}

// services are the sources that ship; the sample applications have no Dockerfile.
func services(t *testing.T) (root string, shipped []source) {
	t.Helper()
	root, err := repository(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		if strings.HasPrefix(s.folder, "services/") {
			shipped = append(shipped, s)
		}
	}
	return root, shipped
}

func TestDockerfiles_EveryServiceHasOneAndAnImage(t *testing.T) {
	root, shipped := services(t)
	modules, err := filepath.Glob(filepath.Join(root, "services", "*", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range modules {
		service := filepath.Base(filepath.Dir(module))
		if !slices.ContainsFunc(shipped, func(s source) bool { return s.name == service }) {
			t.Errorf("services/%s has no line in sources.go", service)
		}
	}
	for _, s := range shipped {
		readDockerfile(t, root, s)
	}
}

func TestDockerfiles_ShipWhatTheOtherImagesShip(t *testing.T) {
	root, shipped := services(t)
	stamp, err := gobuild.ReadStamp(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	stamp.Revision = "unknown"
	for _, s := range shipped {
		t.Run(s.name, func(t *testing.T) {
			d := readDockerfile(t, root, s)
			if diff := cmp.Diff(map[string]string{"VERSION": stamp.Version, "REVISION": "unknown"}, d.args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if d.ship.BaseName != "scratch" {
				t.Errorf("it stands on %q, want scratch", d.ship.BaseName)
			}
			got, files := d.config(t)
			spec := options{tag: "dev", stamp: stamp}.spec(s, "", runtime.GOARCH)
			want := v1.Config{Entrypoint: spec.Entrypoint, User: spec.User, WorkingDir: "/", Labels: spec.Labels, Env: spec.Env}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
			paths := slices.Sorted(maps.Keys(spec.Files))
			if s.native != nil {
				paths = append(paths, "/") // what TestDockerfiles_BuildTheSameProgram looks at
			}
			if diff := cmp.Diff(paths, files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// config is what the last stage makes of an image, and the files that it copies.
func (d dockerfile) config(t *testing.T) (config v1.Config, files []string) {
	t.Helper()
	config.Labels = map[string]string{}
	known := map[string]string{}
	for _, command := range d.ship.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				known[arg.Key] = d.args[arg.Key]
			}
		case *instructions.LabelCommand:
			for _, label := range c.Labels {
				config.Labels[label.Key] = os.Expand(strings.Trim(label.Value, `"`), func(k string) string { return known[k] })
			}
		case *instructions.CopyCommand:
			files = append(files, c.DestPath)
		case *instructions.WorkdirCommand:
			config.WorkingDir = c.Path
		case *instructions.UserCommand:
			config.User = c.User
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				config.Env = append(config.Env, pair.Key+"="+pair.Value)
			}
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Error("the entrypoint needs a shell")
			}
			config.Entrypoint = c.CmdLine
		default:
			t.Errorf("%s is not expected in the last stage", command.Name())
		}
	}
	return config, files
}

func TestDockerfiles_BuildTheSameProgram(t *testing.T) {
	root, shipped := services(t)
	for _, s := range shipped {
		t.Run(s.name, func(t *testing.T) {
			d := readDockerfile(t, root, s)
			program, err := s.program(root, runtime.GOARCH)
			if err != nil {
				t.Fatal(err)
			}
			toolchain, err := gobuild.Toolchain(program.Module)
			if err != nil {
				t.Fatal(err)
			}
			if want := "golang:" + strings.TrimPrefix(toolchain, "go"); d.build.BaseName != want {
				t.Errorf("it is built in %q, go.mod asks for %q", d.build.BaseName, want)
			}
			program.Stamp = gobuild.Stamp{Version: d.args["VERSION"], Revision: "0123abc"}
			want := filepath.Join(t.TempDir(), s.name)
			if err := gobuild.Compile(t.Context(), program, want); err != nil {
				t.Fatal(err)
			}
			d.args["REVISION"] = program.Stamp.Revision
			got := d.run(t, root, toolchain)
			if same, err := sameBytes(want, got); err != nil || !same {
				t.Errorf("the Dockerfile's program differs (%v)", err)
			}
			said, err := exec.Command(got, "-version").Output()
			if err != nil || !strings.HasPrefix(string(said), filepath.Base(s.folder)+" "+d.args["VERSION"]+" (revision 0123abc, "+toolchain) {
				t.Errorf("-version says %q (%v)", said, err)
			}
			if s.native != nil {
				besides(t, s, program.Compiler, want, filepath.Join(filepath.Dir(got), "root"))
			}
		})
	}
}

// besides compares what the Dockerfile has beside a program with C in it, and starts the program with that alone.
func besides(t *testing.T, s source, compiler, program, root string) {
	t.Helper()
	files, err := s.native.files(t.Context(), compiler, program)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got = append(got, strings.TrimPrefix(path, root))
		same, err := sameBytes(path, files[strings.TrimPrefix(path, root)])
		if err == nil && !same {
			t.Errorf("%s is another file", path)
		}
		return err
	})
	if diff := cmp.Diff(slices.Sorted(maps.Keys(files)), got); err != nil || diff != "" {
		t.Errorf("beside the program (-want +got):\n%s%v", diff, err)
	}
	loader, err := interpreter(program)
	if err != nil {
		t.Fatal(err)
	}
	var libc string
	for target := range files {
		if path.Base(target) == s.native.libraries[0] {
			libc = path.Dir(target)
		}
	}
	start := exec.Command(filepath.Join(root, loader), "--inhibit-cache", "--library-path", filepath.Join(root, libc), program, "-version")
	if said, err := start.CombinedOutput(); err != nil {
		t.Errorf("with what is in the image it does not start: %s (%v)", said, err)
	}
}

// run does what the first stage says, in a folder that holds nothing but what it copies, and gives
// the program that the last stage takes.
func (d dockerfile) run(t *testing.T, root, toolchain string) string {
	t.Helper()
	container, at := t.TempDir(), "/"
	context, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	place := func(name string) string {
		if !path.IsAbs(name) {
			name = path.Join(at, name)
		}
		return filepath.Join(container, name)
	}
	for _, command := range d.build.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
			for _, arg := range c.Args {
				value := d.args[arg.Key]
				if arg.Key == "TARGETARCH" { // BuildKit gives it
					value = runtime.GOARCH
				}
				env = append(env, arg.Key+"="+value)
			}
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				env = append(env, pair.Key+"="+pair.Value)
			}
		case *instructions.WorkdirCommand:
			at = c.Path
			if err := os.MkdirAll(place("."), 0o750); err != nil {
				t.Fatal(err)
			}
		case *instructions.CopyCommand:
			for _, from := range c.SourcePaths {
				if folder, _, _ := strings.Cut(from, "/"); !strings.Contains(string(context), "\n!"+folder+"\n") {
					t.Errorf("COPY %s: .dockerignore keeps it out of the context", from)
				}
				copyInto(t, filepath.Join(root, from), place(c.DestPath))
			}
		case *instructions.RunCommand:
			shell := exec.Command("sh", "-ec", strings.Join(c.CmdLine, " "))
			shell.Dir, shell.Env = place("."), env
			if said, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("RUN %s: %v\n%s", c.CmdLine, err, said)
			}
		default:
			t.Fatalf("%s is not expected in the first stage", command.Name())
		}
	}
	for _, command := range d.ship.Commands {
		if c, ok := command.(*instructions.CopyCommand); ok && c.From == d.build.Name {
			return place(c.SourcePaths[0])
		}
	}
	t.Fatal("the last stage takes nothing from the first")
	return ""
}

// copyInto copies a file, or what is in a folder, into a folder, as COPY does.
func copyInto(t *testing.T, from, folder string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		from += "/."
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("cp", "-R", from, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

func sameBytes(a, b string) (bool, error) {
	first, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	second, err := os.ReadFile(b)
	return bytes.Equal(first, second), err
}
