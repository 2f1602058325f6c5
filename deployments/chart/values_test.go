package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValuesTable_HasALineForEachValue(t *testing.T) {
	got, err := valuesTable([]byte(`
# About the file, and no value.

images:
  # Where they
  # are
  registry: nemesis
  # None | some
  tag: ""
# As a whole
resources:
  limits: { cpu: 1 }
# Numbers
ports: [443, 6443]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := `| value | default | what it says |
|---|---|---|
| ` + "`images.registry` | `nemesis`" + ` | Where they are |
| ` + "`images.tag`" + ` |  | None \| some |
| ` + "`resources` | `{\"limits\":{\"cpu\":1}}`" + ` | As a whole |
| ` + "`ports` | `[443,6443]`" + ` | Numbers |
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesTable_RefusesWhatIsNotExplained(t *testing.T) {
	for values, want := range map[string]string{
		"a: 1\nb: {c: 2, d: []}": "a has no comment that says what it is\nb.c has no comment that says what it is\nb.d has no comment",
		"- a":                    "it is no map",
		"":                       "it is no map",
		"a: [":                   "yaml",
	} {
		if _, err := valuesTable([]byte(values)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, and not %q", values, err, want)
		}
	}
}

func TestAdded_TakesWhatIsNewAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want, fault string }{
		"nothing":            {`{a: 1}`, `{a: 1}`, `{}`, ""},
		"a key":              {`{a: 1}`, `{a: 1, b: {c: 2}}`, `{b: {c: 2}}`, ""},
		"a key below":        {`{a: {b: 1}}`, `{a: {b: 1, c: 2}}`, `{a: {c: 2}}`, ""},
		"an item":            {`{a: [1, 2]}`, `{a: [3, 1, 2]}`, `{a: [3]}`, ""},
		"within the one":     {`{a: [{name: x, env: [1, 2]}]}`, `{a: [{name: x, env: [1, 2, 3]}]}`, `{a: [{env: [3]}]}`, ""},
		"a value is another": {`{a: {b: 1}}`, `{a: {b: 2}}`, "", "a: b: 1 became 2"},
		"a key is gone":      {`{a: {b: 1, c: 2}}`, `{a: {b: 1}}`, "", "a: c is gone"},
		"an item is gone":    {`{a: [1, 2]}`, `{a: [1, 3]}`, "", "a: [1 2] became [1 3]"},
		"another kind":       {`{a: [1]}`, `{a: {b: 1}}`, "", "became map"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := added(parse(t, c.before), parse(t, c.after))
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("%v, and not %q", err, c.fault)
				}
				return
			}
			if diff := cmp.Diff(parse(t, c.want), got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}
