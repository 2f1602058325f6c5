//go:build cluster

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/cgroup"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/health"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
)

// bench is one cache directory, the launcher, and what the host was like before.
type bench struct {
	t        *testing.T
	place    layout.Layout
	launcher string
	before   []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	user, err := layout.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	// Beside the user's own cache: the programs can be linked there instead of being built again.
	cache, err := os.MkdirTemp(filepath.Dir(user.Cache()), "nemesis-test-")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, place: layout.New(cache), launcher: filepath.Join(t.TempDir(), "local-kubernetes")}
	t.Cleanup(func() {
		if out, err := b.command("down").CombinedOutput(); err != nil {
			t.Errorf("final down: %v\n%s", err, out)
		}
		if err := os.RemoveAll(cache); err != nil {
			t.Error(err)
		}
	})
	for _, command := range []*exec.Cmd{
		exec.Command("cp", "--archive", "--link", user.BinDir(), b.place.BinDir()),
		exec.Command("go", "build", "-o", b.launcher, "."),
	} {
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s(the programs must be built: local-kubernetes build)", command, err, out)
		}
	}
	b.before = b.hostState()
	return b
}

func (b *bench) command(arguments ...string) *exec.Cmd {
	command := exec.Command(b.launcher, arguments...)
	command.Env = append(os.Environ(), "NEMESIS_CACHE="+b.place.Cache(), "KUBECONFIG=")
	return command
}

func (b *bench) must(arguments ...string) string {
	b.t.Helper()
	out, err := b.command(arguments...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// hostState lists everything on the host that a cluster could leave behind.
func (b *bench) hostState() []string {
	b.t.Helper()
	var state []string
	links, err := netlink.LinkList()
	b.check(err)
	for _, link := range links {
		state = append(state, "interface "+link.Attrs().Name)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	b.check(err)
	for _, route := range routes {
		state = append(state, "route "+route.String())
	}
	tables, err := exec.Command("nft", "list", "tables").CombinedOutput()
	b.check(err)
	state = append(state, "firewall "+string(tables))
	forwarding, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	b.check(err)
	state = append(state, "forwarding "+string(forwarding))
	hierarchies, err := cgroup.Mounted()
	b.check(err)
	state = append(state, cgroup.Left(hierarchies, b.place.Cgroup())...)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	b.check(err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.place.Cache()) {
			state = append(state, "mount "+line)
		}
	}
	state = append(state, b.processes("")...)
	if _, err := os.Stat(b.place.Cluster()); !errors.Is(err, fs.ErrNotExist) {
		state = append(state, "files in "+b.place.Cluster())
	}
	slices.Sort(state)
	return state
}

func (b *bench) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// runs lists the processes of a part; containerd is a program of its own, the others are the first
// argument of one.
func (b *bench) runs(name string) []string {
	return append(b.processes(" "+name+" --"), b.processes("/"+name+" --")...)
}

// processes lists the processes in the cluster's cgroup, and those of this cache directory's
// programs and launcher, whose command line holds the text, each with its number in front.
func (b *bench) processes(text string) []string {
	b.t.Helper()
	hierarchies, err := cgroup.Mounted()
	b.check(err)
	members, err := cgroup.Processes(hierarchies, b.place.Cgroup())
	b.check(err)
	var found []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		line := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '}))
		number := filepath.Base(filepath.Dir(path))
		program, _ := os.Readlink(filepath.Join(filepath.Dir(path), "exe"))
		ours := strings.HasPrefix(program, b.place.Cache()+"/") || program == b.launcher ||
			slices.ContainsFunc(members, func(one process.Identity) bool { return fmt.Sprint(one.PID) == number })
		if ours && strings.Contains(line, text) {
			found = append(found, number+" "+line)
		}
	}
	return found
}

// part finds the one process of a part.
func (b *bench) part(name string) process.Identity {
	b.t.Helper()
	for _, line := range b.runs(name) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err == nil {
			identity, err := process.Of(pid)
			b.check(err)
			return identity
		}
	}
	b.t.Fatalf("%s does not run", name)
	return process.Identity{}
}

// patience is how long a test waits before it fails, and nothing else; a slow machine can be given more.
func patience() time.Duration {
	if set, err := time.ParseDuration(os.Getenv("NEMESIS_TEST_PATIENCE")); err == nil && set > 0 {
		return set
	}
	return 3 * time.Minute
}

func (b *bench) expectNothingLeft() {
	b.t.Helper()
	// A network namespace is removed by the kernel a moment after its last process has ended.
	err := health.Until(b.t.Context(), "what is left", patience(), func(context.Context) error {
		now := b.hostState()
		for _, line := range now {
			if !slices.Contains(b.before, line) {
				return fmt.Errorf("left behind: %s", line)
			}
		}
		for _, line := range b.before {
			if !slices.Contains(now, line) {
				return fmt.Errorf("missing since: %s", line)
			}
		}
		return nil
	})
	if err != nil {
		b.t.Error(err)
	}
}

// deploy starts a pod behind a Service and waits for its answer at the Service's address.
func (b *bench) deploy() {
	b.t.Helper()
	const address = "10.96.77.77"
	manifest := `
apiVersion: v1
kind: Pod
metadata: {name: sample, labels: {app: sample}}
spec:
  containers:
  - name: sample
    image: nemesis.local/kubernetes:v1.36.3
    imagePullPolicy: Never
    args: [kubectl, proxy, --address=0.0.0.0, --port=5300]
    securityContext: {runAsUser: 65532}
---
apiVersion: v1
kind: Service
metadata: {name: sample}
spec:
  clusterIP: ` + address + `
  selector: {app: sample}
  ports: [{port: 80, targetPort: 5300}]
`
	apply := b.command("kubectl", "apply", "--filename", "-")
	apply.Stdin = strings.NewReader(manifest)
	if out, err := apply.CombinedOutput(); err != nil {
		b.t.Fatalf("apply: %v\n%s", err, out)
	}
	err := health.Until(b.t.Context(), "the pod behind its Service", patience(), func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(address, "80"))
		if err != nil {
			return err
		}
		return connection.Close()
	})
	b.check(err)
}
