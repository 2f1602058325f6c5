//go:build unix

// Command benchpolicies compares the balancing policies in virtual time (package simulate), measures
// what a pick costs on this machine, and writes a table for people and a file for programs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance/simulate"
)

// pick is what choosing a pod costs.
type pick struct {
	Policy      string  `json:"policy"`
	Pods        int     `json:"pods"`
	Nanoseconds float64 `json:"ns"`
	Allocations float64 `json:"allocations"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchpolicies:", err)
		os.Exit(1)
	}
}

func run() error {
	out := flag.String("out", "", "file for programs")
	runs := flag.Int("runs", 5, "runs of each scenario, whose means are shown")
	scenarios := flag.Int("scenarios", len(simulate.Catalogue()), "how many of them")
	flag.Parse()
	if *scenarios < 0 || *scenarios > len(simulate.Catalogue()) {
		return fmt.Errorf("-scenarios %d is not allowed: must be from 0 to %d", *scenarios, len(simulate.Catalogue()))
	}
	if *runs < 1 || *runs > 1000 {
		return fmt.Errorf("-runs %d is not allowed: must be from 1 to 1000", *runs)
	}
	var report struct {
		Scenarios []simulate.Row `json:"scenarios"`
		Picks     []pick         `json:"picks"`
	}
	for _, s := range simulate.Catalogue()[:*scenarios] {
		rows := simulate.Measure(s, *runs)
		if err := simulate.Print(os.Stdout, rows); err != nil {
			return err
		}
		report.Scenarios = append(report.Scenarios, rows...)
	}
	fmt.Println("\na pick, the request's counting included, in CPU time, the quickest of twenty measurements")
	for _, policy := range balance.Names() {
		for _, pods := range []int{16, 1000} {
			p := cost(policy, pods)
			report.Picks = append(report.Picks, p)
			fmt.Printf("  %-17s %4d pods  %6.0f ns  %v allocations\n", policy, pods, p.Nanoseconds, p.Allocations)
		}
	}
	if *out == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(text, '\n'), 0o600)
}

// The rounds of a measurement; other programs on the machine only add to it, so the quickest counts.
const (
	rounds = 20
	picks  = 50_000
	known  = 1 << 18 // keys that were seen before: only then it is quick with many pods
)

// cost measures a pick in the processor's time.
func cost(policy string, pods int) pick {
	r := rand.New(rand.NewPCG(1, 2))
	pool, now := simulate.Settled(policy, pods, r), time.Unix(1001, 0)
	one := func() {
		p, _, _ := pool.Pick(balance.Request{Key: r.Uint64() | 1}, now)
		p.Sent()
		p.Released()
	}
	for range known {
		one()
	}
	best := pick{Policy: policy, Pods: pods, Allocations: testing.AllocsPerRun(1000, one)}
	for range rounds {
		before := used()
		for range picks {
			one()
		}
		if ns := float64(used()-before) / picks; best.Nanoseconds == 0 || ns < best.Nanoseconds {
			best.Nanoseconds = ns
		}
	}
	return best
}

// used is the processor's time that this process had.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no way in which this may fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
