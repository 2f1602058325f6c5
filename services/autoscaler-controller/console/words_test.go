package console

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources are the page's, by their names.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("src", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(name, ".test.") || !slices.Contains([]string{".ts", ".tsx"}, filepath.Ext(name)) || strings.HasSuffix(name, ".d.ts") {
			return err
		}
		text, err := os.ReadFile(name)
		found[name] = string(text)
		return err
	})
	if err != nil || len(found) < 20 {
		t.Fatalf("%d sources: %v", len(found), err)
	}
	return found
}

// Links within the page lead to views that there are; those that leave it are made of what an operator has set.
func TestConsole_EveryLinkLeadsToAView(t *testing.T) {
	all := sources(t)
	views := map[string]bool{"fleet": true}
	for _, one := range regexp.MustCompile(`case "([a-z]+)": return`).FindAllStringSubmatch(all["src/main.tsx"], -1) {
		views[one[1]] = true
	}
	listed := regexp.MustCompile(`\["([a-z]+)", "[A-Z]`).FindAllStringSubmatch(all["src/main.tsx"], -1)
	if len(views) < 7 || len(listed) < 6 {
		t.Fatalf("views %v, of which the page lists %v", views, listed)
	}
	for _, one := range listed {
		if !views[one[1]] {
			t.Errorf("the page lists %q, which is no view", one[1])
		}
	}
	links := 0
	for name, text := range all {
		for _, one := range regexp.MustCompile(`\bto\("([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if links++; !views[one[1]] {
				t.Errorf("%s: a link leads to %q, which is no view", name, one[1])
			}
		}
		for _, one := range regexp.MustCompile(`href=("[^"]*"|\{[^}]*)`).FindAllStringSubmatch(text, -1) {
			if made := one[1]; !strings.HasPrefix(made, "{to(") && !strings.HasPrefix(made, "{`$") && made != `"#main"` && made != "{link" {
				t.Errorf("%s: a link is made without to(): %s", name, made)
			}
		}
	}
	if links < 10 {
		t.Errorf("%d links were found", links)
	}
}

// What the page says of a terminal is what the command knows, each option included.
func TestConsole_EveryCommandIsOneThatThereIs(t *testing.T) {
	text, err := os.ReadFile("../../../cli/REFERENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := map[string]string{}
	for part := range strings.SplitSeq(string(text), "\n## ") {
		heading, body, _ := strings.Cut(part, "\n")
		manual[strings.TrimPrefix(heading, "nemesis ")] = body
	}
	word := regexp.MustCompile(`^[a-z]+$`)
	commands := 0
	for name, text := range sources(t) {
		for _, one := range regexp.MustCompile("[\"`](nemesis [a-z][^\"`]*)[\"`]").FindAllStringSubmatch(text, -1) {
			commands++
			words := strings.Fields(one[1])[1:]
			of := regexp.MustCompile(`^[a-z]+`).FindString(words[0])
			if len(words) > 1 && word.MatchString(words[1]) && manual[of+" "+words[1]] != "" {
				of += " " + words[1]
			}
			body, known := manual[of]
			if !known {
				t.Errorf("%s: there is no command nemesis %s: %s", name, of, one[1])
				continue
			}
			for _, option := range regexp.MustCompile(`(?:^| )(--?[a-z-]+|-[A-Z])\b`).FindAllStringSubmatch(one[1], -1) {
				if all := body + manual["nemesis"]; !strings.Contains(all, " "+option[1]+" ") && !strings.Contains(all, " "+option[1]+",") {
					t.Errorf("%s: nemesis %s knows no %s: %s", name, of, option[1], one[1])
				}
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands were found", commands)
	}
}
