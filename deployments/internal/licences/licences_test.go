package licences_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/deployments/internal/licences"
)

const mit = `MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const isc = `Copyright (c) 2026 Somebody

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

func module(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestBetween_CollectsFromThePackageUpToTheModule(t *testing.T) {
	root := module(t, map[string]string{
		"LICENSE": mit, "a/b/LICENCE.txt": isc, "a/b/c.go": "package b", "other/COPYING": "anything",
		"NOTICE": "We thank everybody.", "license.go": "package license", "LICENSES/README": "see there",
	})
	for folder, want := range map[string][]string{"a/b": {"ISC", "MIT"}, "a": {"MIT"}, ".": {"MIT"}} {
		got, err := licences.Between(filepath.Join(root, folder), root)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
	if got := licences.Expression([]string{"ISC", "MIT"}); got != "ISC AND MIT" {
		t.Errorf("expression %q", got)
	}
}

func TestBetween_Refuses(t *testing.T) {
	cases := map[string]struct {
		files        map[string]string
		folder, want string
	}{
		"nothing":           {map[string]string{"README": "free for all"}, ".", "no file with a licence"},
		"an unknown text":   {map[string]string{"LICENSE": "You may look, and not touch."}, ".", "no licence that is known"},
		"more than a known": {map[string]string{"LICENSE": mit + strings.Repeat("And every user owes the author a very good lunch, each day of the year.\n", 40)}, ".", "no licence that is known"},
		"a folder outside":  {map[string]string{"LICENSE": mit}, "..", "is not below"},
		"no such folder":    {map[string]string{"LICENSE": mit}, "a", "no such file"},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			root := module(t, c.files)
			if got, err := licences.Between(filepath.Join(root, c.folder), root); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want an error that says %q", got, err, c.want)
			}
		})
	}
}
