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
	for _, test := range []struct{ host, path, target, prefix, rest, raw string }{
		{"x", "/fib", "fib", "/fib", "/", "/"},
		{"x", "/fib/", "fib", "/fib", "/", "/"},
		{"x", "/fib/10", "fib", "/fib", "/10", "/10"},
		{"x", "/fib/deep/er", "deep", "/fib/deep", "/er", "/er"},
		{"x", "/fib/deeper", "fib", "/fib", "/deeper", "/deeper"},
		{"x", "/fibonacci/1", "fibonacci", "/fibonacci", "/1", "/1"},
		{"x", "/x/../fib/a%2fb%20c", "fib", "/fib", "/a%2fb%20c", "/a%2fb%20c"},
		{"x", "//fib//1", "fib", "/fib", "/1", "//1"},
		{"models.example", "/fib", "models", "", "/fib", "/fib"}, // its host comes before every prefix of others
		{"MODELS.example.:8080", "/llm", "llm", "/llm", "/", "/"},
		{"models.example", "/llmx", "models", "", "/llmx", "/llmx"},
		{"models.example", "/", "models", "", "/", "/"},
	} {
		got, err := table.Match(test.host, test.path)
		want := Match[string]{Target: test.target, Prefix: test.prefix, Path: test.rest, Raw: test.raw}
		if err != nil || got != want {
			t.Errorf("Match(%q, %q) = %+v, %v, want %+v", test.host, test.path, got, err, want)
		}
	}
}

func TestTable_RefusesWhatItCannotTell(t *testing.T) {
	table := table(t)
	for path, want := range map[string]error{
		"/": ErrNoRoute, "/fibo": ErrNoRoute, "/FIB": ErrNoRoute, "/x/../y": ErrNoRoute, "/fib/../x": ErrNoRoute, "/fib/%2e%2e/x": ErrNoRoute,
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

func TestMatch_TheRestArrivesAsItWasSent(t *testing.T) {
	table := table(t)
	for path, want := range map[string]string{
		"/fib/%41/%7euser":          "/%41/%7euser",
		"/fib/a//b/./c/../d/":       "/a//b/./c/../d/",
		"/fib//":                    "//",
		"/fib/.":                    "/.",
		"/fib/a/..":                 "/a/..",
		"/fib/%2e/x":                "/%2e/x",
		"/%66i%62/x":                "/x",
		"/./fib/x":                  "/x",
		"/nothing/../fib/x":         "/x",
		"/fib/a%2f..%2fb":           "/a%2f..%2fb",
		"/fib/caf\u00e9/%C3%a9":     "/caf\u00e9/%C3%a9",
		"/fib/a;b=c/%3B":            "/a;b=c/%3B",
		"/fib/a/..;b/.;/c":          "/a/..;b/.;/c",
		"/fibonacci/%61%2e%2E./...": "/%61%2e%2E./...",
	} {
		m, err := table.Match("x", path)
		if err != nil || m.Raw != want {
			t.Errorf("Match(%q): raw %q, %v, want %q", path, m.Raw, err, want)
		}
	}
}

func TestMatch_RefusesWhatAServerCouldReadAsAnotherPlace(t *testing.T) {
	table, _ := NewTable([]Entry[string]{
		{Prefix: "/fib", Target: "fib"}, {Prefix: "/fib/deep", Target: "deep"}, {Hosts: []string{"all"}, Prefix: "/", Target: "all"}, {Hosts: []string{"all"}, Prefix: "/fib", Target: "fib"},
	})
	for _, test := range []struct{ host, path string }{
		{"x", "/fib/../fib/x"},
		{"x", "/fib/a/../../fib/x"},
		{"x", "/fib/deep/../x"},
		{"x", "/fib/a/../deep/x"},
		{"x", "/fib/..%2ffib/x"},
		{"all", "/fib/a%2fb/../../x"},
		{"x", "/fib/a%5c..%5c..%5cfib/x"},
		{"x", "/fib/a\\..\\..\\fib/x"},
		{"x", "/fib\\deep"},
		{"x", "/fib/..;/x"},
		{"x", "/fib/%2e%2e;a=b/x"},
		{"all", "/fib//../x"},
		{"all", "/x/..;/fib/y"},
		{"all", "/x/..;a=b/fib"},
		{"all", "/x;a=b/..;/fib"},
		{"all", "/x/%2e%2e;/fib/y"},
		{"all", "/x/..;%2ffib/y"},
		{"all", "/.;/fib/y"},
		{"x", "/x/..;/fib/y"},
		{"x", "/fib/x/..;/deep/y"},
		{"all", "/fib/../"},
		{"all", "/.."},
		{"all", "/a/../../x"},
		{"all", "/%2e%2e/x"},
		{"all", "//fib/x"},
		{"all", "/%66ib/x"},
		{"all", "/x/../fib/x"},
	} {
		if m, err := table.Match(test.host, test.path); !errors.Is(err, ErrAmbiguous) {
			t.Errorf("Match(%q, %q) = %+v, %v, want ErrAmbiguous", test.host, test.path, m, err)
		}
	}
}

func TestMatch_OfAPlainPathAllocatesNothing(t *testing.T) {
	table := table(t)
	if n := testing.AllocsPerRun(100, func() { _, _ = table.Match("models.example:8080", "/llm/v1/chat/completions") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	table, _ := NewTable([]Entry[string]{{Prefix: "/fib", Target: "fib"}, {Prefix: "/fib/deep", Target: "deep"}, {Hosts: []string{"models.example"}, Prefix: "/", Target: "models"}})
	for name, path := range map[string]string{"plain": "/fib/v1/chat/completions", "long": "/fib/" + strings.Repeat("a/", 100), "escaped": "/fib/a%20b%7e/c", "dots": "/fib/a/../b"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m, err := table.Match("example.com:8080", path); err != nil || m.Target != "fib" {
					b.Fatal(m, err)
				}
			}
		})
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
		if !strings.HasSuffix(path, m.Raw) && m.Raw != "/" {
			t.Errorf("Match(%q): the raw rest %q is not as it was sent", path, m.Raw)
		}
		for _, rest := range []string{m.Path, m.Raw} {
			again, err := table.Match(host, m.Prefix+rest)
			if err != nil || again.Target != m.Target || again.Prefix != m.Prefix || again.Path != m.Path || again.Raw != rest {
				t.Errorf("what is forwarded, %q, is routed elsewhere: %+v, %v, want %+v", m.Prefix+rest, again, err, m)
			}
		}
		if alone, err := Normalise(m.Raw); err != nil || alone != m.Path {
			t.Errorf("the raw rest %q of %q means %q, %v, want %q", m.Raw, path, alone, err, m.Path)
		}
	})
}
