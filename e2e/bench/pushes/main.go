// Command pushes measures what the pushes of pods cost the controller: its CPU for each, of an earlier build
// and of this one, one by one and in batches as a metrics-collector sends them, with tokens of the pods and
// without, over kept connections and over new ones; and the memory of a connection that is kept. The controller
// runs on one core and with an API server that has nothing but the keys of the tokens, so that the pods are
// unknown to it: what a known pod costs beyond is `make bench-controller`'s.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

func main() {
	o := options{}
	flag.StringVar(&o.before, "before", "", "the controller of an earlier build")
	flag.StringVar(&o.now, "now", "", "the controller of this one")
	flag.DurationVar(&o.each, "each", 4*time.Second, "for how long each is measured")
	flag.IntVar(&o.rounds, "rounds", 3, "how often, by turns; the median counts")
	flag.IntVar(&o.kept, "connections", 3000, "whose memory is measured")
	flag.StringVar(&o.only, "only", "", "only scenarios whose name this regular expression finds")
	flag.StringVar(&o.out, "out", "build/bench/pushes.json", "where the figures go")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench pushes:", err)
		os.Exit(1)
	}
}

type options struct {
	before, now, only, out string
	each                   time.Duration
	rounds, kept           int
}

// pods is how many different ones push.
const pods = 10_000

func run(o options) error {
	keys, err := newIssuer()
	if err != nil {
		return err
	}
	defer keys.close()
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("only: %w", err)
	}
	chosen := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return !only.MatchString(s.name) })
	results := make([]*result, 0, len(chosen))
	for _, s := range chosen {
		results = append(results, &result{Name: s.name})
	}
	for range o.rounds {
		for i, s := range chosen {
			if err := measure(o, s, keys, results[i]); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	for _, r := range results {
		r.conclude()
	}
	table(os.Stdout, results)
	return summary.Write(o.out, map[string]any{"scenarios": results, "rounds": o.rounds, "seconds": o.each.Seconds()})
}

// measure starts a controller of its own for a scenario, and adds what it says.
func measure(o options, s scenario, keys *issuer, to *result) error {
	path := o.now
	if s.before {
		path = o.before
	}
	if err := keys.prepare(s); err != nil {
		return err
	}
	c, err := start(path, s, keys)
	if err != nil {
		return err
	}
	defer c.stop()
	if s.connections {
		bytes, err := c.memory(o.kept)
		to.Bytes = append(to.Bytes, bytes)
		return err
	}
	// It is warm when each pod was heard: then tokens are known, as they are for the hour that they live.
	for slices.ContainsFunc(c.pushers, func(p *pusher) bool { return p.round == 0 }) {
		if _, _, err := c.push(o.each / 4); err != nil {
			return err
		}
	}
	pushes, cpu, err := c.push(o.each)
	if err != nil {
		return err
	}
	to.Rates = append(to.Rates, float64(pushes)/o.each.Seconds())
	to.Micros = append(to.Micros, float64(cpu.Microseconds())/float64(pushes))
	return nil
}

// freePort is one that nobody listened on a moment ago.
func freePort() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
