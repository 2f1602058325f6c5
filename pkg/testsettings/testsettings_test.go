package testsettings

import (
	"slices"
	"testing"
)

const help = "Usage of x:\n  -config string\n    \tYAML file with settings\n" +
	"  -listen value\n    \twhere (default \":8080\", environment NEMESIS_LISTEN)\n" +
	"  -clear-text\n    \ttoo (default \"false\", environment NEMESIS_CLEAR_TEXT)\n"

func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		name, page string
		help       []string
		want       []string
	}{
		{"all there", "# x\n\n## Settings\n| s | |\n|---|---|\n| `-listen`, `-clear-text` | `other` |\n\n## More\n| `else` | |\n", []string{help}, nil},
		{"one missing", "# x\n\n## Settings of it\n| `listen` | |\n", []string{help}, []string{"the setting clear-text is not in the table"}},
		{"one too many", "# x\n\n## Settings\n| `listen` | |\n| `clear-text` | |\n| `old` | |\n", []string{help}, []string{"the table has old, which is no setting"}},
		{"elsewhere on the page", "| `clear-text` | |\n\n## Settings\n| `listen` | |\n", []string{help}, []string{"the setting clear-text is not in the table"}},
		{"no such part", "# x\n", []string{help}, []string{"there is no part with the heading \"## Settings\""}},
		{"no settings", "# x\n\n## Settings\n", []string{"Usage of x:\n"}, []string{"-help names no setting"}},
	} {
		if got := differences(c.page, c.help...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
