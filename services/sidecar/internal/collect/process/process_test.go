package process

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func stat(name string, self, children, start uint64) string {
	return fmt.Sprintf("7 (%s) S 1 7 7 0 -1 4194304 100 0 0 0 %d %d %d %d 20 0 5 0 %d 1000000 300 0", name, self/2, self-self/2, children, 0, start)
}

func status(anonymous, shared int) string {
	return fmt.Sprintf("Name:\tx\nVmRSS:\t  99999 kB\nRssAnon:\t  %d kB\nRssFile:\t 4444 kB\nRssShmem:\t %d kB\nThreads:\t5\n", anonymous, shared)
}

type proc map[string]string

func (p proc) fs() fstest.MapFS {
	root := fstest.MapFS{"1/comm": {Data: []byte("pause\n")}, "uptime": {}, "self/stat": {}}
	for path, content := range p {
		root[path] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

func TestRead_AddsUpTheProcessesOfThePod(t *testing.T) {
	p, err := Open(proc{
		"1/stat": stat("pause", 0, 0, 1), "1/status": status(100, 0),
		"7/stat": stat("web (1)) S 9 9", 500, 20, 2), "7/status": status(2048, 512),
		"30/stat": stat("worker", 100, 0, 3), "30/status": status(1024, 600),
		"31/stat": stat("zombie", 5, 0, 3), "31/status": "Name:\tzombie\nState:\tZ (zombie)\n",
	}.fs(), 40)
	if err != nil {
		t.Fatal(err)
	}
	cpu, memory, err := p.Read()
	if err != nil || cpu != 0 || memory != (100+2048+1024+600)<<10 {
		t.Errorf("CPU %v, memory %d KiB, error %v", cpu, memory>>10, err)
	}
	p.proc = proc{
		"1/stat": stat("pause", 1, 0, 1), "1/status": status(100, 0),
		"7/stat": stat("web (1)) S 9 9", 550, 20, 2), "7/status": status(2048, 0),
	}.fs()
	if cpu, _, err = p.Read(); err != nil || cpu != 510*time.Millisecond {
		t.Errorf("CPU %v, error %v", cpu, err)
	}
}

func TestOpen_TakesThePodsProcessesAloneAndNeverTheNodes(t *testing.T) {
	for name, c := range map[string]struct {
		first string
		self  int
		want  string
	}{
		"not shared":    {"sidecar", 1, "shareProcessNamespace"},
		"the node's":    {"systemd", 4711, "hostPID"},
		"no first one":  {"", 4711, "not exist"},
		"the pod's own": {"pause", 12, ""},
	} {
		root := fstest.MapFS{}
		if c.first != "" {
			root["1/comm"] = &fstest.MapFile{Data: []byte(c.first + "\n")}
		}
		_, err := Open(root, c.self)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", name, err, c.want)
		}
	}
}

func TestRead_RefusesMoreProcessesThanItReads(t *testing.T) {
	p := proc{}
	for i := range maxProcesses + 1 {
		p[fmt.Sprintf("%d/stat", i+2)] = ""
	}
	pod, err := Open(p.fs(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pod.Read(); err == nil || !strings.Contains(err.Error(), "8192") {
		t.Errorf("error is %v", err)
	}
}

// fleeting is a /proc in which one process ends while the others are read, once.
type fleeting struct {
	fstest.MapFS
	reads *int
}

func (f fleeting) ReadFile(name string) ([]byte, error) {
	if strings.HasPrefix(name, "9/") {
		delete(f.MapFS, "9/stat")
		delete(f.MapFS, "9/status")
		f.MapFS["7/stat"] = &fstest.MapFile{Data: []byte(stat("parent", 10, 5000, 2))} // it waited for it
		return nil, fs.ErrNotExist
	}
	*f.reads++
	return f.MapFS.ReadFile(name)
}

func TestRead_ReadsAgainWhenAProcessEndsMeanwhile(t *testing.T) {
	files := proc{
		"1/stat": stat("pause", 0, 0, 1), "1/status": status(1, 0),
		"7/stat": stat("parent", 10, 0, 2), "7/status": status(1, 0),
		"9/stat": stat("child", 4990, 0, 3), "9/status": status(1, 0),
	}.fs()
	p, err := Open(files, 40)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Read(); err != nil {
		t.Fatal(err)
	}
	reads := 0
	p.proc = fleeting{files, &reads}
	cpu, memory, err := p.Read()
	if err != nil || cpu != 100*time.Millisecond || memory != 2<<10 {
		t.Errorf("CPU %v, memory %d, error %v: a life of 50 s was counted again", cpu, memory, err)
	}
	if reads != 8 {
		t.Errorf("%d files were read, want two processes twice", reads)
	}
}

// spent is the CPU time of this process: on a busy machine time passes without any.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestParse_ReadsThisVeryProcess(t *testing.T) {
	p := &Pod{proc: os.DirFS("/proc")}
	for spent(t) < 30*time.Millisecond { // burns CPU, so that there is time to read
	}
	k, used, m, err := p.process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if k.start == 0 || used.self < 1 || used.self > 100*60 || m.anonymous < 100<<10 || m.anonymous > 4<<30 {
		t.Errorf("start %d, times %+v, memory %+v", k.start, used, m)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(stat("a b) (c", 3, 4, 5))
	f.Add("1 (x) S 1 2 3")
	f.Add(") -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1")
	f.Fuzz(func(t *testing.T, raw string) {
		_, used, err := parseStat([]byte(raw))
		if err == nil && used.self+used.children > 1<<55 {
			t.Errorf("%+v", used)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	f.Add(status(1, 2))
	f.Add("RssAnon: 99999999999999999999 kB\n")
	f.Add("RssShmem:\t-1 kB")
	f.Fuzz(func(t *testing.T, raw string) {
		m, err := parseStatus([]byte(raw))
		if err == nil && (m.anonymous >= 1<<50 || m.shared >= 1<<50) {
			t.Errorf("%+v", m)
		}
	})
}
