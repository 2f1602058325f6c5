package cgroup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMounts_KnowsBothVersions(t *testing.T) {
	mountinfo := `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 22 0:26 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
32 22 0:27 / /mnt/with\040space rw - cgroup2 cgroup2 rw,nsdelegate
33 22 0:28 /some/child /elsewhere rw - cgroup cgroup rw,memory
a line that is none
`
	got, err := parseMounts(strings.NewReader(mountinfo))
	if err != nil {
		t.Fatal(err)
	}
	want := []Hierarchy{
		{Path: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}},
		{Path: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}},
		{Path: "/mnt/with space"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
