package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite_EveryVerbIsThereAndNothingOfThisMachine(t *testing.T) {
	t.Setenv("NEMESIS_CONTROLLER", "https://of-this-machine")
	folder := t.TempDir()
	if err := write(folder); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "REFERENCE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"## nemesis status\n", "## nemesis settings set\n", "--context name", "(#nemesis-why)", "Exit codes: 0 done;"} {
		if !strings.Contains(string(page), text) {
			t.Errorf("%q is not in it", text)
		}
	}
	if n := strings.Count(string(page), "--kubeconfig file"); n != 1 {
		t.Errorf("the flags of all stand in it %d times", n)
	}
	if strings.Contains(string(page), "of-this-machine") || strings.Contains(string(page), os.Getenv("HOME")) {
		t.Error("it has something of this machine")
	}
	for _, name := range []string{"nemesis.1", "nemesis-why.1", "nemesis-settings-set.1"} {
		if _, err := os.Stat(filepath.Join(folder, "man", name)); err != nil {
			t.Error(err)
		}
	}
}
