package shipping

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// places are where the version stands, and how.
var places = map[string]*regexp.Regexp{
	"VERSION":               regexp.MustCompile(`^(\S+)\n$`),
	"services/*/Dockerfile": regexp.MustCompile(`(?m)^ARG VERSION=(\S+)$`),
	"kustomize/overlays/production/*/kustomization.yaml": regexp.MustCompile(`(?m)^ +newTag: (\S+)$`),
	"charts/nemesis/Chart.yaml":                          regexp.MustCompile(`(?m)^(?:v|appV)ersion: (\S+)$`),
}

// versions are those found in the repository at this folder, with where they stand.
func versions(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for pattern, line := range places {
		before := len(found)
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			for _, match := range line.FindAllStringSubmatch(read(t, path), -1) {
				found[path] = match[1]
			}
		}
		if len(found) == before {
			t.Errorf("no version in %s", pattern)
		}
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestVersion_IsTheSameWhereverItStands(t *testing.T) {
	want := strings.TrimSpace(read(t, filepath.Join(root, "VERSION")))
	for path, got := range versions(t, root) {
		if got != want {
			t.Errorf("%s has %s, VERSION has %s; deployments/release writes them all", path, got, want)
		}
	}
}

var released = regexp.MustCompile(`(?m)^(#.*\n)+(\d+\.\d+\.\d+(?:-\S+)?) ([0-9a-f]{40})\n$`)

func TestReleased_NamesAVersionAndACommit(t *testing.T) {
	if content := read(t, filepath.Join(root, "RELEASED")); !released.MatchString(content) {
		t.Errorf("RELEASED is not a comment and one line with version and full commit:\n%s", content)
	}
}

// newClone has what a release changes, in a repository of its own.
func newClone(t *testing.T) (folder string, run func(program string, args ...string) (string, error)) {
	t.Helper()
	folder = t.TempDir()
	run = func(program string, args ...string) (string, error) {
		command := exec.Command(program, args...)
		command.Dir = folder
		said, err := command.CombinedOutput()
		return string(said), err
	}
	copied := exec.Command("sh", "-ec", `tar -c VERSION RELEASED CHANGELOG.md deployments/release services/*/Dockerfile kustomize charts | tar -x -C "$0"`, folder)
	copied.Dir = root
	if said, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := run("git", "init", "--quiet"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return folder, run
}

func TestRelease_WritesTheVersionEverywhereAndRecordsTheCommit(t *testing.T) {
	folder, run := newClone(t)
	must := func(program string, args ...string) string {
		t.Helper()
		said, err := run(program, args...)
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", program, args, err, said)
		}
		return strings.TrimSpace(said)
	}
	must("deployments/release", "9.8.7-rc.1")
	for path, got := range versions(t, folder) {
		if got != "9.8.7-rc.1" {
			t.Errorf("%s has %s", path, got)
		}
	}
	changelog := read(t, filepath.Join(folder, "CHANGELOG.md"))
	if !regexp.MustCompile(`(?m)^## Unreleased\n\n## 9\.8\.7-rc\.1, \d{4}-\d\d-\d\d\n`).MatchString(changelog) {
		t.Errorf("the changelog has no heading for it:\n%.300s", changelog)
	}
	must("git", "add", ".")
	must("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "release")
	must("git", "tag", "v9.8.7-rc.1")
	must("deployments/release", "--record")
	match := released.FindStringSubmatch(read(t, filepath.Join(folder, "RELEASED")))
	if match == nil || match[2] != "9.8.7-rc.1" || match[3] != must("git", "rev-parse", "HEAD") {
		t.Errorf("RELEASED has %q", match)
	}
}

func TestRelease_RefusesAndChangesNothing(t *testing.T) {
	folder, run := newClone(t)
	if said, err := run("deployments/release", "9.8.7"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	before := versions(t, folder)
	for what, c := range map[string]struct{ arg, want string }{
		"no version":        {"", "is no version"},
		"a tag":             {"v9.8.8", "is no version"},
		"released before":   {"9.8.7", "has 9.8.7 already"},
		"a tag not made":    {"--record", "There is no tag v9.8.7"},
		"sed's own symbols": {"9.8.8-a/b", "is no version"},
	} {
		t.Run(what, func(t *testing.T) {
			said, err := run("deployments/release", c.arg)
			if err == nil || !strings.Contains(said, c.want) {
				t.Errorf("%v: %s", err, said)
			}
			for path, version := range versions(t, folder) {
				if version != before[path] {
					t.Errorf("%s has %s", path, version)
				}
			}
		})
	}
}
