package build

import (
	"strings"
	"testing"
)

func TestLine_SaysWhatTheLinkerPutHere(t *testing.T) {
	version, revision = "1.2.3", "abc-dirty"
	t.Cleanup(func() { version, revision = "", "" })
	if got, want := Line("sample"), "sample 1.2.3 (revision abc-dirty, "+Go()+")"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLine_SaysThatNobodyLinkedAVersion(t *testing.T) {
	if got := Line("sample"); !strings.HasPrefix(got, "sample dev (revision ") || strings.Contains(got, "revision ,") {
		t.Errorf("got %q", got)
	}
}
