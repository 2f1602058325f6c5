package app

import (
	"io"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func defaults(t *testing.T) Settings {
	t.Helper()
	s, err := Load(nil, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemory_TheDefaultsFitIntoTheManifest(t *testing.T) {
	manifest, err := os.ReadFile("../../../../kustomize/base/load-balancer/deployment.yaml")
	if err != nil {
		t.Skip("the manifests are not here: the module is built alone")
	}
	limits := regexp.MustCompile(`limits:[^\n]*memory: (\d+)Mi`).FindSubmatch(manifest)
	if limits == nil {
		t.Fatal("no memory limit in the manifest")
	}
	mib, _ := strconv.ParseInt(string(limits[1]), 10, 64)
	if needed := defaults(t).bounded(10_000); needed > mib<<20 {
		t.Errorf("the defaults need %d MiB, the manifest gives %d", needed>>20, mib)
	}
}

func TestMemory_BoundsThatDoNotFitAreSaidAtStart(t *testing.T) {
	s := defaults(t)
	for limit, warns := range map[int64]bool{0: false, 1 << 40: false, s.bounded(10_000): false, s.bounded(10_000) - 1: true, 64 << 20: true} {
		var out strings.Builder
		checkMemory(s, 10_000, limit, slog.New(slog.NewTextHandler(&out, nil)))
		if got := strings.Contains(out.String(), "level=WARN"); got != warns {
			t.Errorf("limit %d: %q", limit, out.String())
		}
	}
}

func TestMemoryLimit_OfEitherControlGroup(t *testing.T) {
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, c := range []struct {
		files map[string]string
		want  int64
	}{
		{nil, 0},
		{map[string]string{v2: "max\n"}, 0},
		{map[string]string{v2: "536870912\n"}, 512 << 20},
		{map[string]string{v1: "536870912\n"}, 512 << 20},
		{map[string]string{v1: "9223372036854771712\n"}, 0},
		{map[string]string{v2: "", v1: "nonsense"}, 0},
		{map[string]string{v2: "-1"}, 0},
	} {
		got := memoryLimit(func(name string) ([]byte, error) {
			text, ok := c.files[name]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		})
		if got != c.want {
			t.Errorf("%v: %d, want %d", c.files, got, c.want)
		}
	}
}
