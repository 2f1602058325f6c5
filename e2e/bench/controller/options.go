package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options say what is measured.
type options struct {
	kubernetes, ours, oursCRD, released, releasedCRD, about, history string

	sizes, releasedSizes []int
	seconds              float64
	wakeups, pods, batch int
	quick, secured, day  bool
	priority             int
	settle, limit        time.Duration

	soak     time.Duration
	soakSize int

	work, out string
}

const (
	maxSize       = 20000
	mostInBatch   = 500
	allSizes      = "100,1000,10000"
	allReleased   = "300,1000"
	quickSizes    = "100,300"
	quickReleased = "300"
)

func parse(args []string) (o options, err error) {
	set := flag.NewFlagSet("bench-controller", flag.ContinueOnError)
	set.StringVar(&o.kubernetes, "kubernetes", "", "the local cluster's program that holds etcd and kube-apiserver")
	set.StringVar(&o.ours, "ours", "build/bench/bin/autoscaler-controller", "the controller")
	set.StringVar(&o.oursCRD, "ours-crd", "kustomize/base/crd/customautoscalers.yaml", "its resource")
	set.StringVar(&o.released, "released", "", "the controller of the last release")
	set.StringVar(&o.releasedCRD, "released-crd", "", "its resource")
	set.StringVar(&o.about, "about", "", "which release that is")
	sizes := set.String("sizes", "", "numbers of applications, with commas between; default "+allSizes+", "+quickSizes+" with -quick")
	releasedSizes := set.String("released-sizes", "", "the same of the last release, none leaves it out; default "+allReleased+", "+quickReleased+" with -quick")
	set.Float64Var(&o.seconds, "seconds", 0, "of each measurement; 0: 15, and 5 with -quick")
	set.IntVar(&o.wakeups, "wakeups", 200, "wake-ups a second at most; each application at most every 45 s")
	set.IntVar(&o.pods, "pods", 100000, "pods at most; ten for each application, all of them in each tenth one")
	set.IntVar(&o.batch, "batch", 0, "under load pods push through collectors, so many in a batch, where the build takes batches; 0: each by itself up to 10,000 pods, 200 in a batch where there are more")
	set.BoolVar(&o.quick, "quick", false, "some minutes")
	set.BoolVar(&o.secured, "secured", false, "with TLS and a token of everybody who calls; the last release in clear text all the same")
	set.BoolVar(&o.day, "day", false, "the controller finds the history of a day; the last release keeps none")
	set.StringVar(&o.history, "history", "build/bench/bin/history-day", "the program that makes that history")
	set.IntVar(&o.priority, "priority", 0, "nice value of all that is started, from -20 to 0: below 0 others on the machine disturb less, and are disturbed")
	set.DurationVar(&o.settle, "settle", 0, "how long a controller may take to become quiet; the last release a third of that; 0: 6m, and 40s with -quick")
	set.DurationVar(&o.limit, "limit", 3*time.Hour, "give up after this long; with -soak that comes on top")
	set.DurationVar(&o.soak, "soak", 0, "instead of all that: the whole load for this long, and what becomes of the memory")
	set.IntVar(&o.soakSize, "soak-size", 1000, "applications of the soak")
	set.StringVar(&o.work, "work", "build/bench/controller", "folder for data, logs and pictures")
	set.StringVar(&o.out, "out", "build/bench/controller.json", "where the figures go; the soak's go beside it")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	pick := func(given, quick, all string) string {
		switch {
		case given != "":
			return given
		case o.quick:
			return quick
		}
		return all
	}
	if o.sizes, err = numbers("sizes", pick(*sizes, quickSizes, allSizes)); err != nil {
		return o, err
	}
	if o.releasedSizes, err = numbers("released-sizes", pick(*releasedSizes, quickReleased, allReleased)); err != nil {
		return o, err
	}
	if o.seconds == 0 {
		o.seconds = map[bool]float64{false: 15, true: 5}[o.quick]
	}
	if o.settle == 0 {
		o.settle = map[bool]time.Duration{false: 6 * time.Minute, true: 40 * time.Second}[o.quick]
	}
	o.limit += o.soak
	if err := o.check(); err != nil {
		return o, err
	}
	return o, absolute(&o.kubernetes, &o.ours, &o.oursCRD, &o.released, &o.releasedCRD, &o.history, &o.work, &o.out)
}

func (o options) check() error {
	switch {
	case o.kubernetes == "":
		return fmt.Errorf("kubernetes: %q is not allowed: must be the path of the local cluster's program", o.kubernetes)
	case o.seconds < 1 || o.seconds > 600:
		return fmt.Errorf("seconds: %v is not allowed: must be from 1 to 600", o.seconds)
	case o.wakeups < 0 || o.wakeups > 1000:
		return fmt.Errorf("wakeups: %d is not allowed: must be from 0 to 1000", o.wakeups)
	case o.pods < 10 || o.pods > 100000:
		return fmt.Errorf("pods: %d is not allowed: must be from 10 to 100000", o.pods)
	case o.batch < 0 || o.batch > mostInBatch:
		return fmt.Errorf("batch: %d is not allowed: must be from 0 to %d", o.batch, mostInBatch)
	case o.priority < -20 || o.priority > 0:
		return fmt.Errorf("priority: %d is not allowed: must be from -20 to 0", o.priority)
	case o.soakSize < 20 || o.soakSize > maxSize:
		return fmt.Errorf("soak-size: %d is not allowed: must be from 20 to %d", o.soakSize, maxSize)
	}
	return nil
}

// numbers reads sizes, in growing order.
func numbers(name, list string) ([]int, error) {
	if list == "none" {
		return nil, nil
	}
	var out []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 20 || n > maxSize {
			return nil, fmt.Errorf("%s: %q is not allowed: must be numbers from 20 to %d with commas between, or none", name, list, maxSize)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
