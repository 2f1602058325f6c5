package routing

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a/", "//": "/", "//a//b": "/a/b", "/a/./b": "/a/b", "/a/.": "/a/",
		"/a/../b": "/b", "/a/..": "/", "/..": "/", "/../..//a": "/a", "/a/b/../../c/": "/c/", "/a/b/../..": "/",
		"/%2e%2e/a": "/a", "/a/%2E%2e/b": "/b", "/%66%6f%6F": "/foo", "/a%20b": "/a%20b", "/a%2fb": "/a%2fb", "/a%2Fb": "/a%2Fb",
		"/.a": "/.a", "/...": "/...", "/a..b": "/a..b", "/a/...": "/a/...", "/%41%7e": "/A~", "/ü": "/ü", "/.": "/", "/a//": "/a/",
	} {
		if got, err := Normalise(path); err != nil || got != want {
			t.Errorf("Normalise(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
	for path, want := range map[string]error{
		"": ErrPathForm, "a": ErrPathForm, "*": ErrPathForm, "/%": ErrPathForm, "/%2": ErrPathForm, "/%zz": ErrPathForm, "/a%00": ErrPathNUL,
	} {
		if _, err := Normalise(path); !errors.Is(err, want) {
			t.Errorf("Normalise(%q): %v, want %v", path, err, want)
		}
	}
}

func table(t *testing.T) *Table[string] {
	t.Helper()
	table, lost := NewTable([]Entry[string]{
		{Prefix: "/fib", Target: "fib"}, {Prefix: "/fib/deep", Target: "deep"}, {Prefix: "/fibonacci/", Target: "fibonacci"},
		{Hosts: []string{"Models.Example"}, Prefix: "/", Target: "models"}, {Hosts: []string{"models.example", "::1"}, Prefix: "/llm", Target: "llm"},
		{Prefix: "/fib", Target: "too late"},
	})
	if len(lost) != 1 || lost[0] != "too late" {
		t.Errorf("lost = %v, want the second claim of /fib", lost)
	}
	return table
}

func TestTable_LongestPrefixOfTheHostWins(t *testing.T) {
	table := table(t)
	for _, test := range []struct{ host, path, target, prefix, rest string }{
		{"x", "/fib", "fib", "/fib", "/"},
		{"x", "/fib/", "fib", "/fib", "/"},
		{"x", "/fib/10", "fib", "/fib", "/10"},
		{"x", "/fib/deep/er", "deep", "/fib/deep", "/er"},
		{"x", "/fib/deeper", "fib", "/fib", "/deeper"},
		{"x", "/fibonacci/1", "fibonacci", "/fibonacci", "/1"},
		{"x", "/x/../fib/a%2fb%20c", "fib", "/fib", "/a%2fb%20c"},
		{"x", "//fib//1", "fib", "/fib", "/1"},
		{"models.example", "/fib", "models", "", "/fib"}, // its host comes before every prefix of others
		{"MODELS.example.:8080", "/llm", "llm", "/llm", "/"},
		{"models.example", "/llmx", "models", "", "/llmx"},
		{"models.example", "/", "models", "", "/"},
	} {
		got, err := table.Match(test.host, test.path)
		want := Match[string]{Target: test.target, Prefix: test.prefix, Path: test.rest}
		if err != nil || got != want {
			t.Errorf("Match(%q, %q) = %+v, %v, want %+v", test.host, test.path, got, err, want)
		}
	}
}

func TestTable_RefusesWhatItCannotTell(t *testing.T) {
	table := table(t)
	for path, want := range map[string]error{
		"/": ErrNoRoute, "/fibo": ErrNoRoute, "/FIB": ErrNoRoute, "/fib/../x": ErrNoRoute, "/fib/%2e%2e/x": ErrNoRoute,
		"/fib%2f1": ErrAmbiguous, "/fib%5Cdeep": ErrAmbiguous, "/fib%2Fdeep": ErrAmbiguous, "/fib/deep%2f..%2f..%2fx": ErrAmbiguous,
		"/fib/..%2fx": ErrAmbiguous, "/fib/%00": ErrPathNUL, "fib": ErrPathForm,
	} {
		if got, err := table.Match("x", path); !errors.Is(err, want) {
			t.Errorf("Match(%q) = %+v, %v, want %v", path, got, err, want)
		}
	}
	empty, _ := NewTable[string](nil)
	if _, err := empty.Match("x", "/"); !errors.Is(err, ErrNoRoute) {
		t.Errorf("an empty table: %v", err)
	}
}

// FuzzMatch holds what must be true of every path, whatever a client invents.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"/fib/1", "/fib/../x", "/%2e%2e/fib", "/fib%2fdeep", "//fib/./..//deep", "/fib/%zz", "/fib/%00", "*", ""} {
		f.Add("models.example", seed)
		f.Add("x", seed)
	}
	table, _ := NewTable([]Entry[string]{
		{Prefix: "/fib", Target: "fib"}, {Prefix: "/fib/deep", Target: "deep"}, {Hosts: []string{"models.example"}, Prefix: "/", Target: "models"},
	})
	f.Fuzz(func(t *testing.T, host, path string) {
		m, err := table.Match(host, path)
		if err != nil {
			return
		}
		if m.Path == "" || m.Path[0] != '/' {
			t.Errorf("Match(%q): the rest %q does not begin with /", path, m.Path)
		}
		for segment := range strings.SplitSeq(m.Path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("Match(%q): the rest %q climbs", path, m.Path)
			}
		}
		if strings.Contains(m.Path, "//") || strings.Contains(strings.ToLower(m.Path), "%00") || strings.Contains(strings.ToLower(m.Path), "%2e") {
			t.Errorf("Match(%q): the rest %q is not normal", path, m.Path)
		}
		again, err := table.Match(host, m.Prefix+m.Path)
		if err != nil || again != m {
			t.Errorf("what is forwarded, %q, is routed elsewhere: %+v, %v, want %+v", m.Prefix+m.Path, again, err, m)
		}
	})
}
