// Package turns is how the benchmarks of a wake-up are run: round by round, in each all ways by turns and in a random order, so
// that a machine that grows slower is unfair to none.
package turns

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"
)

// Options say how many rounds there are, and where the figures go.
type Options struct {
	Rounds, Warm int
	Out          string
	limit        time.Duration
}

// Flags are those that these benchmarks share; rounds is what one calls its rounds.
func (o *Options) Flags(set *flag.FlagSet, rounds, out string) {
	set.IntVar(&o.Rounds, rounds, 20, "rounds of measurements, at least 20 for a figure that is shown")
	set.IntVar(&o.Warm, "warm", 2, "rounds before, which are not counted")
	set.StringVar(&o.Out, "out", out, "where the figures go")
	set.DurationVar(&o.limit, "limit", 30*time.Minute, "give up after this long")
}

// Main runs a benchmark until it ends, somebody interrupts it or its limit is over, and ends the process where it failed.
func (o *Options) Main(name string, run func(context.Context, io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "bench %s: %v\n", name, err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
	}
}

// Take takes the rounds and tells of each. It returns the milliseconds of each way, without those of the rounds before.
func (o *Options) Take(w io.Writer, ways []string, each func(way int) (float64, error)) ([][]float64, error) {
	all := make([][]float64, len(ways))
	for i := range o.Warm + o.Rounds {
		one := make([]float64, len(ways))
		for _, way := range rand.Perm(len(ways)) {
			var err error
			if one[way], err = each(way); err != nil {
				return nil, fmt.Errorf("round %d: %s: %w", i+1, ways[way], err)
			}
		}
		name := fmt.Sprintf("%2d/%d", i-o.Warm+1, o.Rounds)
		if i < o.Warm {
			name = "warm-up"
		}
		fmt.Fprintf(w, "%-7s", name)
		for way, ms := range one {
			fmt.Fprintf(w, "   %s %7.1f ms", ways[way], ms)
			if i >= o.Warm {
				all[way] = append(all[way], ms)
			}
		}
		fmt.Fprintln(w)
	}
	return all, nil
}
