package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// What make generate writes is what is there: nothing older, and nothing left over.
func TestChart_IsGenerated(t *testing.T) {
	want, err := generated(kustomizeFolder)
	if err != nil {
		t.Fatal(err)
	}
	if want["README.md"], err = readme(chartFolder); err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(chartFolder, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s is not what is generated (%v); run make generate", name, err)
		}
	}
	err = filepath.WalkDir(filepath.Join(chartFolder, "manifests"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(chartFolder, path)
		if want[filepath.ToSlash(name)] == nil {
			t.Errorf("%s is left over; run make generate", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// As helm lint --strict does it, but that the chart need not have an icon.
func TestChart_PassesHelmsOwnLint(t *testing.T) {
	for name, values := range map[string]string{"defaults": "", "production": production(t), "roles alone": "rbac: {namespaced: true}"} {
		linter := lint.AllWithKubeVersion(chartFolder, parse(t, values), "nemesis-system", nil)
		for _, message := range linter.Messages {
			if message.Severity >= support.WarningSev || !strings.Contains(message.Error(), "icon is recommended") {
				t.Errorf("%s: %s", name, message)
			}
		}
	}
}

// Helm keeps a release with its chart in a Secret, of 1 MiB at most.
func TestChart_FitsIntoASecret(t *testing.T) {
	files, err := template(t, "nemesis-system", production(t), `{metricsCollector: {enabled: true}, grafanaDashboards: {enabled: true}, elasticsearch: {enabled: true, url: "https://e:9200"}}`)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"chart": load(t), "manifest": files})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if size := packed.Len() * 4 / 3; size > 1<<19 { // it is kept as base64
		t.Errorf("%d bytes, more than half of what fits", size)
	}
}

func TestNotes_SayWhatToDoNext(t *testing.T) {
	for name, c := range map[string]struct {
		namespace, values string
		want, not         []string
	}{
		"defaults":          {"nemesis-system", "", []string{"rollout status deployment", "CustomAutoscaler", "application's namespace"}, []string{"Roles alone", "Secret", "NEMESIS_CONTROLLER_URL"}},
		"another namespace": {"scaling", "", []string{"NEMESIS_CONTROLLER_URL=https://autoscaler-controller.scaling.svc:8080"}, []string{"nemesis-system.svc"}},
		"collectors":        {"scaling", "metricsCollector: {enabled: true}", []string{"NEMESIS_CONTROLLER_URL=https://metrics-collector.scaling.svc:8080"}, nil},
		"roles alone":       {"team-a", "rbac: {namespaced: true}", []string{"namespace: team-a", "kubectl apply -f crds/customautoscalers.yaml"}, nil},
		"watching another":  {"scaling", "{rbac: {namespaced: true}, watchNamespace: team-b}", []string{"namespace: team-b"}, nil},
		"a log and TLS":     {"nemesis-system", `{elasticsearch: {enabled: true, url: "https://logs:9200"}, loadBalancer: {tls: {enabled: true, secretName: front}}}`, []string{"https://logs:9200", "nemesis-elasticsearch-admin", "the Secret front"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := template(t, c.namespace, c.values)
			if err != nil {
				t.Fatal(err)
			}
			notes := files["nemesis/templates/NOTES.txt"]
			for _, want := range c.want {
				if !strings.Contains(notes, want) {
					t.Errorf("no %q in:\n%s", want, notes)
				}
			}
			for _, not := range c.not {
				if strings.Contains(notes, not) {
					t.Errorf("%q in:\n%s", not, notes)
				}
			}
		})
	}
}

func TestReadme_SaysOfEachComponentWhatItIsHere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(chartFolder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(filepath.Join(kustomizeFolder, "components"))
	if err != nil || len(folders) < 10 {
		t.Fatalf("%d components, %v", len(folders), err)
	}
	for _, folder := range folders {
		if name := folder.Name(); !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`components/"+name+"`") {
			t.Errorf("the README does not name kustomize/components/%s", name)
		}
	}
}

func TestReadme_RefusesWhatHasNoPlaceForTheValues(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for readmeText, want := range map[string]string{
		"no marks":                            "README.md has no",
		"<!-- values -->\n and no end":        "README.md has no",
		"a<!-- values -->\n<!-- /values -->b": "",
	} {
		write("values.yaml", "# One\na: 1\n")
		write("README.md", readmeText)
		got, err := readme(folder)
		if want == "" && (err != nil || !strings.Contains(string(got), "| `a` | `1` | One |")) {
			t.Errorf("%v %s", err, got)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", readmeText, err)
		}
	}
	write("values.yaml", "a: 1\n")
	if _, err := readme(folder); err == nil || !strings.Contains(err.Error(), "values.yaml: a has no comment") {
		t.Errorf("%v", err)
	}
}

func TestSource_RefusesWhatTheTemplatesCannotTakeOver(t *testing.T) {
	for want, s := range map[string]source{
		"Deployment/autoscaler-controller: spec:": {folder: "x", component: "sharding", byValues: map[string]string{"ConfigMap/": ""}},
		"no-such-folder": {folder: "x", resources: []string{"no-such-folder"}},
	} {
		if err := s.into(map[string][]byte{}, kustomizeFolder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}
