package cgroup

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const uid = "0a1b2c3d-1111-2222-3333-444455556666"

func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for path, content := range files {
		root[path] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

const (
	statV2   = "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n"
	memoryV2 = "anon 4000\nfile 6000\ninactive_anon 1\ninactive_file 1500\nactive_file 4500\n"
	memoryV1 = "cache 6000\ninactive_file 7\ntotal_cache 6000\ntotal_inactive_file 1500\n"
)

func TestRead_ThePodsOwnGroupOfBothVersionsAndDrivers(t *testing.T) {
	underscored := strings.ReplaceAll(uid, "-", "_")
	slice := "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscored + ".slice/"
	for name, files := range map[string]map[string]string{
		"v2, systemd": {
			"cgroup.controllers":                               "cpu memory",
			slice + "cpu.stat":                                 statV2,
			slice + "memory.current":                           "10000\n",
			slice + "memory.stat":                              memoryV2,
			slice + "cri-containerd-1234.scope/memory.current": "1",
		},
		"v2, cgroupfs, guaranteed": {
			"cgroup.controllers":                       "cpu memory",
			"kubepods/pod" + uid + "/cpu.stat":         statV2,
			"kubepods/pod" + uid + "/memory.current":   "10000\n",
			"kubepods/pod" + uid + "/memory.stat":      memoryV2,
			"kubepods/besteffort/podff/memory.current": "1",
		},
		"v1, cgroupfs, below a root of its own": {
			"memory/node/kubepods/burstable/pod" + uid + "/memory.usage_in_bytes": "10000\n",
			"memory/node/kubepods/burstable/pod" + uid + "/memory.stat":           memoryV1,
			"cpuacct/node/kubepods/burstable/pod" + uid + "/cpuacct.usage":        "2500000000\n",
		},
		"v1 beside v2, with cpu and cpuacct together": {
			"unified/cgroup.controllers":                                       "",
			"memory/kubepods/burstable/pod" + uid + "/memory.usage_in_bytes":   "10000\n",
			"memory/kubepods/burstable/pod" + uid + "/memory.stat":             memoryV1,
			"cpu,cpuacct/kubepods/burstable/pod" + uid + "/cpuacct.usage":      "2500000000\n",
			"memory/kubepods/burstable/pod" + uid + "-2/memory.usage_in_bytes": "1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			group, err := Open(tree(files), uid)
			if err != nil {
				t.Fatal(err)
			}
			cpu, memory, err := group.Read()
			if err != nil || cpu != 2500*time.Millisecond || memory != 8500 {
				t.Errorf("CPU %v, memory %d, error %v at %s", cpu, memory, err, group.Path())
			}
		})
	}
}

func TestOpen_RefusesWhatIsNotTheNodesTree(t *testing.T) {
	container := map[string]string{"cgroup.controllers": "", "cpu.stat": statV2, "memory.current": "1"}
	for name, c := range map[string]struct {
		files     map[string]string
		uid, want string
	}{
		"a container's own":  {container, uid, "no control group of the pod"},
		"nothing":            {map[string]string{}, uid, "no memory hierarchy"},
		"without cpuacct":    {map[string]string{"memory/x": ""}, uid, "no cpuacct hierarchy"},
		"no UID":             {container, "", "UID is not known"},
		"another pod's only": {map[string]string{"cgroup.controllers": "", "kubepods/pod0a1b2c3d-1111-2222-3333-444455556667/cpu.stat": statV2}, uid, "no control group of the pod"},
	} {
		if _, err := Open(tree(c.files), c.uid); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", name, err, c.want)
		}
	}
}

func TestOpen_DoesNotLookForEver(t *testing.T) {
	files := map[string]string{"cgroup.controllers": ""}
	for i := range maxFolders + 1 {
		files[fmt.Sprintf("g%d/x", i)] = ""
	}
	if _, err := Open(tree(files), uid); err == nil || !strings.Contains(err.Error(), "was not found among") {
		t.Errorf("error is %v", err)
	}
	deep := "cgroup" + strings.Repeat("/d", maxDepth+1) + "/pod" + uid + "/cpu.stat"
	if _, err := Open(tree(map[string]string{"cgroup.controllers": "", deep: ""}), uid); err == nil {
		t.Error("it went deeper than a kubelet puts pods")
	}
}

func TestRead_SaysWhatIsWrongWithAGroup(t *testing.T) {
	for name, change := range map[string][2]string{
		"no CPU line":        {"cpu.stat", "user_usec 1\n"},
		"no number":          {"memory.current", "max\n"},
		"no inactive files":  {"memory.stat", "anon 1\n"},
		"negative CPU":       {"cpu.stat", "usage_usec -1\n"},
		"more than a number": {"memory.current", "99999999999999999999999\n"},
	} {
		files := map[string]string{"cgroup.controllers": ""}
		for file, content := range map[string]string{"cpu.stat": statV2, "memory.current": "10000", "memory.stat": memoryV2} {
			files["pod"+uid+"/"+file] = content
		}
		files["pod"+uid+"/"+change[0]] = change[1]
		group, err := Open(tree(files), uid)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := group.Read(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(statV2, "10000\n", memoryV2)
	f.Add("usage_usec", "", "inactive_file 99999999999999999999")
	f.Add("usage_usec 18446744073709551615\n", "1", "inactive_file 2")
	f.Fuzz(func(t *testing.T, stat, current, memoryStat string) {
		group, err := Open(tree(map[string]string{
			"cgroup.controllers": "", "pod" + uid + "/cpu.stat": stat, "pod" + uid + "/memory.current": current, "pod" + uid + "/memory.stat": memoryStat,
		}), uid)
		if err != nil {
			t.Fatal(err)
		}
		cpu, memory, err := group.Read()
		if err != nil {
			return
		}
		if cpu < 0 {
			t.Errorf("CPU time is %v", cpu)
		}
		if used, err := parseNumber([]byte(current)); err != nil || memory > used {
			t.Errorf("the working set %d is more than all memory %d", memory, used)
		}
	})
}
