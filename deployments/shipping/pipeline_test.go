package shipping

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// job is what these tests want to know of a job in .gitlab-ci.yml.
type job struct {
	Stage     string            `json:"stage"`
	Extends   string            `json:"extends"`
	Variables map[string]string `json:"variables"`
	Script    lines             `json:"script"`
	Needs     []string          `json:"needs"`
	Rules     []struct {
		Changes []string `json:"changes"`
	} `json:"rules"`
	Artifacts struct {
		When  string   `json:"when"`
		Paths []string `json:"paths"`
	} `json:"artifacts"`
	Parallel struct {
		Matrix []struct {
			Service []string `json:"SERVICE"`
		} `json:"matrix"`
	} `json:"parallel"`
}

// lines is one line or a list of them.
type lines []string

func (l *lines) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*l = lines{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(l))
}

// notJobs are the keys of the file that configure all of it.
var notJobs = []string{"stages", "workflow", "variables", "default"}

func pipeline(t *testing.T) map[string]job {
	t.Helper()
	var all map[string]json.RawMessage
	if err := yaml.UnmarshalStrict([]byte(read(t, filepath.Join(root, ".gitlab-ci.yml"))), &all); err != nil {
		t.Fatal(err)
	}
	jobs := map[string]job{}
	for name, raw := range all {
		if slices.Contains(notJobs, name) {
			continue
		}
		var j job
		if err := json.Unmarshal(raw, &j); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		jobs[name] = j
	}
	return jobs
}

// modules are those of go.work, and deployments, which stays outside; relative to the root.
func modules(t *testing.T) []string {
	t.Helper()
	var work struct {
		Use []struct{ DiskPath string }
	}
	goJSON(t, &work, root, "work", "edit", "-json", "go.work")
	found := []string{"deployments"}
	for _, use := range work.Use {
		found = append(found, path.Clean(use.DiskPath))
	}
	if len(found) < 3 {
		t.Fatalf("go.work names only %v", found)
	}
	return found
}

// builtOn are the sibling modules that a module is built with.
func builtOn(t *testing.T, module string) (siblings []string) {
	t.Helper()
	var mod struct {
		Replace []struct{ New struct{ Path string } }
	}
	goJSON(t, &mod, filepath.Join(root, module), "mod", "edit", "-json")
	for _, replace := range mod.Replace {
		siblings = append(siblings, path.Join(module, replace.New.Path))
	}
	return siblings
}

func goJSON(t *testing.T, into any, folder string, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = folder
	said, err := command.Output()
	if err != nil {
		t.Fatalf("go %v in %s: %v", args, folder, err)
	}
	if err := json.Unmarshal(said, into); err != nil {
		t.Fatal(err)
	}
}

func TestPipeline_TestsEachModuleWhenItOrWhatItIsBuiltOnChanges(t *testing.T) {
	jobs := pipeline(t)
	for _, module := range modules(t) {
		name := "test:" + path.Base(module)
		j, ok := jobs[name]
		if !ok || j.Extends != ".module" || j.Variables["MODULE"] != module {
			t.Errorf("no job %s extends .module with MODULE: %s", name, module)
			continue
		}
		var changes []string
		for _, rule := range j.Rules {
			changes = append(changes, rule.Changes...)
		}
		for _, folder := range append(builtOn(t, module), module) {
			parent := path.Dir(folder)
			if !slices.Contains(changes, folder+"/**/*") && !slices.Contains(changes, parent+"/**/*") {
				t.Errorf("%s does not run when %s changes; it does for %v", name, folder, changes)
			}
		}
	}
}

func TestPipeline_MakesAndDeploysEachService(t *testing.T) {
	jobs := pipeline(t)
	var images []string
	for _, matrix := range jobs["images"].Parallel.Matrix {
		images = append(images, matrix.Service...)
	}
	for _, module := range modules(t) {
		if service, ok := strings.CutPrefix(module, "services/"); ok && !slices.Contains(images, service) {
			t.Errorf("the job images does not make %s", service)
		}
	}
	deployed, err := filepath.Glob(filepath.Join(root, "kustomize/overlays/production/*/deployment.yaml"))
	if err != nil || len(deployed) == 0 {
		t.Fatalf("no service in the production overlay (%v)", err)
	}
	for _, manifest := range deployed {
		service := filepath.Base(filepath.Dir(manifest))
		j := jobs["deploy:"+service]
		if j.Extends != ".deploy" || j.Variables["SERVICE"] != service || !slices.Contains(j.Needs, fmt.Sprintf("images: [%s]", service)) {
			t.Errorf("no job deploy:%s extends .deploy with SERVICE: %s after its image", service, service)
		}
	}
}

var (
	calls = regexp.MustCompile(`\bmake ([a-z-]+)|(?:^|[ |])((?:deployments|kustomize)/[\w./-]+)`)
	rule  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// What the console looked like is kept, when a test failed, too: then somebody wants to see it.
func TestPipeline_KeepsTheConsolesPictures(t *testing.T) {
	written := regexp.MustCompile(`(?m)^SHOTS = ROOT((?: / "[^"]+")+)$`).FindStringSubmatch(read(t, filepath.Join(root, "e2e", "harness", "browser.py")))
	if written == nil {
		t.Fatal("e2e/harness/browser.py does not say where it writes them")
	}
	folder := strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(written[1], " / "), `"`, ""), " / ", "/")
	kept := pipeline(t)["cluster"].Artifacts
	if kept.When != "always" || !slices.ContainsFunc(kept.Paths, func(p string) bool { return folder == p || strings.HasPrefix(folder, p+"/") }) {
		t.Errorf("the job cluster keeps %+v, and they are in %s", kept, folder)
	}
}

func TestPipeline_CallsWhatIsThere(t *testing.T) {
	targets := map[string]bool{}
	for _, match := range rule.FindAllStringSubmatch(read(t, filepath.Join(root, "Makefile")), -1) {
		targets[match[1]] = true
	}
	called := 0
	for name, j := range pipeline(t) {
		for _, line := range j.Script {
			for _, match := range calls.FindAllStringSubmatch(line, -1) {
				called++
				if match[1] != "" && !targets[match[1]] {
					t.Errorf("%s calls make %s, which the Makefile does not have", name, match[1])
				}
				if match[2] != "" {
					info, err := os.Stat(filepath.Join(root, match[2]))
					if err != nil || strings.HasPrefix(line, match[2]) && info.Mode()&0o100 == 0 {
						t.Errorf("%s calls %s, which is not there or not a program (%v)", name, match[2], err)
					}
				}
			}
		}
	}
	if called < 8 {
		t.Errorf("only %d calls were found", called)
	}
}
