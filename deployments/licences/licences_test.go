package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func runWith(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out, &out)
	return out.String(), err
}

func TestRun_ListsWhatAServiceIsBuiltWith(t *testing.T) {
	said, err := runWith(t, "-list", "../../services/sidecar")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"github.com/prometheus/client_golang@v", " Apache-2.0", " BSD-3-Clause\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("the list lacks %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "nemesis-scaling") {
		t.Errorf("modules of this repository are listed:\n%s", said)
	}
}

func TestCheck_NamesModuleAndLicence(t *testing.T) {
	if err := (module{name: "example.com/fine@v1.0.0", ids: allowed}).check(); err != nil {
		t.Error(err)
	}
	cases := map[string]module{
		"example.com/a@v1.2.3 is under GPL-3.0, which is not one of 0BSD, Apache-2.0": {name: "example.com/a@v1.2.3", ids: []string{"MIT", "GPL-3.0"}},
		"example.com/b@v1.2.3: no text":                                               {name: "example.com/b@v1.2.3", ids: []string{"MIT"}, fault: errors.New("no text")},
	}
	for want, m := range cases {
		if err := m.check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestRun_Refuses(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "go.mod"), []byte("what is this"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no module is named":   nil,
		"go list in " + broken: {broken},
		"frobnicate":           {"-frobnicate"},
	} {
		if _, err := runWith(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error is %v, want %q", args, err, want)
		}
	}
}
