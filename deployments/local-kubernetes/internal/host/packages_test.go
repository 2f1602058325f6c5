package host

import (
	"errors"
	"slices"
	"testing"
)

func TestMissingPackages_NamesThePackagesOfMissingPrograms(t *testing.T) {
	got := missingPackages(func(program string) (string, error) {
		if program == "mount" {
			return "/bin/mount", nil
		}
		return "", errors.New("not found")
	})
	if want := []string{"nftables", "runc"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSnapshotter_NeedsADirectory(t *testing.T) {
	if _, err := Snapshotter("/does/not/exist"); err == nil {
		t.Error("a missing directory was accepted")
	}
	if got, err := Snapshotter("/proc"); err != nil || got != "overlayfs" {
		t.Errorf("%q, %v", got, err)
	}
}
