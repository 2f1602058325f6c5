// Command benchpolicies compares the balancing policies in virtual time (package simulate), measures
// what a pick costs on this machine, and writes a table for people and a file for programs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
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
	Allocations int64   `json:"allocations"`
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
	testing.Init()
	flag.Parse()
	if err := flag.Set("test.benchtime", "200ms"); err != nil {
		return err
	}
	if *runs < 1 || *runs > 1000 {
		return fmt.Errorf("-runs %d is not allowed: must be from 1 to 1000", *runs)
	}
	var report struct {
		Scenarios []simulate.Row `json:"scenarios"`
		Picks     []pick         `json:"picks"`
	}
	for _, s := range simulate.Catalogue() {
		rows := simulate.Measure(s, *runs)
		if err := simulate.Print(os.Stdout, rows); err != nil {
			return err
		}
		report.Scenarios = append(report.Scenarios, rows...)
	}
	fmt.Println("\na pick, the request's counting included, the quickest of five measurements")
	for _, policy := range balance.Names() {
		for _, pods := range []int{16, 1000} {
			p := cost(policy, pods)
			report.Picks = append(report.Picks, p)
			fmt.Printf("  %-17s %4d pods  %6.0f ns  %d allocations\n", policy, pods, p.Nanoseconds, p.Allocations)
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

// cost measures a pick; other programs on the machine only add to it, so the quickest counts.
func cost(policy string, pods int) pick {
	best := pick{Policy: policy, Pods: pods}
	for range 5 {
		r := rand.New(rand.NewPCG(1, 2))
		pool, now := simulate.Settled(policy, pods, r), time.Unix(1001, 0)
		for range 1 << 18 { // keys are known after a while, and only then it is quick with many pods
			pool.Pick(balance.Request{Key: r.Uint64() | 1}, now)
		}
		result := testing.Benchmark(func(b *testing.B) {
			b.Helper()
			for b.Loop() {
				p, _, _ := pool.Pick(balance.Request{Key: r.Uint64() | 1}, now)
				p.Sent()
				p.Released()
			}
		})
		if ns := float64(result.T.Nanoseconds()) / float64(result.N); best.Nanoseconds == 0 || ns < best.Nanoseconds {
			best.Nanoseconds, best.Allocations = ns, result.AllocsPerOp()
		}
	}
	return best
}
