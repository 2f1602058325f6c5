package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asProgram has the test's own program be the command.
const asProgram = "NEMESIS_TEST_IS_THE_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main() // and exits
	}
	os.Exit(m.Run())
}

// linked runs the command by a link of this name.
func linked(t *testing.T, name string, environment []string, args ...string) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), link, args...)
	c.Env = slices.Concat(environment, []string{asProgram + "=1", "HOME=" + t.TempDir()})
	out, err := c.Output()
	if err != nil {
		t.Errorf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

func TestLinks_ArePluginsOfKubectl(t *testing.T) {
	for name, usage := range map[string]string{"nemesis": "  nemesis [command]", "kubectl-nemesis": "  kubectl nemesis [command]"} {
		if got := linked(t, name, nil, "--help"); !strings.Contains(got, usage) {
			t.Errorf("%s: %s", name, got)
		}
	}
	controller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/v1/applications" || r.URL.Query().Get("namespace") != "shop" {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = w.Write([]byte(`{"items":[{"namespace":"shop","deployment":"cart","autoscaler":"cart","state":"Asleep"}]}`))
	}))
	defer controller.Close()
	environment := []string{"NEMESIS_CONTROLLER=" + controller.URL, "NEMESIS_TOKEN=t"}
	if got := linked(t, "kubectl_complete-nemesis", environment, "why", "-n", "shop", "c"); got != "cart\tAsleep\n:4\n" {
		t.Errorf("offered is %q", got)
	}
}

// What `make command` makes beside the command are those names.
func TestLinks_AreMadeByTheMakefile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "for name in kubectl-nemesis kubectl_complete-nemesis; do ln -sf nemesis build/bin/$$name; done") {
		t.Error("make command does not make the links")
	}
}
