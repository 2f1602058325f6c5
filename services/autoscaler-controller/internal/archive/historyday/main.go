// Command historyday writes the ConfigMaps of histories that a controller would have kept after a day, for `make
// bench-controller DAY=yes`: what it holds in memory after a day is measured by one that goes on with them.
//
// It reads the applications, a line each: namespace, Deployment, and busy or asleep. Of those that are busy no minute is
// like the one before; the others are awake for five minutes in each four hours. It writes a ConfigMap a line. Of the
// busy ones the oldest minutes are left out that a ConfigMap has no room for: a controller divides it evenly, which
// leaves of the busy ones next to nothing, and the benchmark is to have as much of them as there can be.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/archive"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

const (
	span = 15 * time.Second // of a sample: as long as one may be
	// room is what all histories of a ConfigMap may have: 1 MiB but for their names.
	room = 1<<20 - 32<<10
	name = 40 // bytes that stand before each
	// variety is how many days there are of busy ones: each holds its own in memory, though others had the same.
	variety = 8
	wakes   = 4 * time.Hour
	awake   = 5 * time.Minute
)

func main() {
	if err := run(os.Stdin, os.Stdout, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "history of a day:", err)
		os.Exit(1)
	}
}

// place is a ConfigMap.
type place struct{ busy, asleep []fleet.Key }

func run(from io.Reader, to io.Writer, now time.Time) error {
	store := &archive.Store{} // says where each is kept, and speaks to nobody
	places := make([]place, store.Places())
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var k fleet.Key
		var kind string
		if _, err := fmt.Sscan(lines.Text(), &k.Namespace, &k.Deployment, &kind); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		p := &places[store.Place(k)]
		if kind == "busy" {
			p.busy = append(p.busy, k)
		} else {
			p.asleep = append(p.asleep, k)
		}
	}
	sleeps, _ := day(now, asleep).Encode(history.MaxBytes)
	random := rand.New(rand.NewPCG(1, 1))
	days := make([]*history.History, variety)
	for i := range days {
		days[i] = day(now, func(time.Duration) history.Sample { return busy(random) })
	}
	out := json.NewEncoder(to)
	for i, p := range places {
		of := map[fleet.Key][]byte{}
		for _, k := range p.asleep {
			of[k] = sleeps
		}
		most := (room - len(p.asleep)*(len(sleeps)+name)) / max(len(p.busy), 1)
		for n, k := range p.busy {
			of[k], _ = days[n%variety].Encode(min(history.MaxBytes, most-name))
		}
		m := archive.Patch(of)
		m["apiVersion"], m["kind"], m["metadata"] = "v1", "ConfigMap", map[string]string{"name": archive.Name(i)}
		if err := out.Encode(m); err != nil {
			return err
		}
	}
	return nil
}

// day is the history of one over the day before now.
func day(now time.Time, sample func(since time.Duration) history.Sample) *history.History {
	h := &history.History{}
	const whole = 24 * time.Hour
	for since := time.Duration(0); since < whole; since += span {
		at := now.Add(since - whole)
		h.Add(at, at.Add(span), sample(since))
	}
	return h
}

func asleep(since time.Duration) history.Sample {
	s := history.Sample{Maximum: 1000}
	switch in := since % wakes; {
	case in == 0:
		s.Arrivals, s.Waiting, s.Replicas, s.Decisions, s.Wakes = 1, 1, 1, 1, []history.Wake{{Took: 2 * time.Second}}
	case in < awake:
		s.Arrivals, s.Replicas, s.Ready, s.Pods = 5, 1, 1, 1
	}
	return s
}

func busy(random *rand.Rand) history.Sample {
	pods := 95 + random.Int32N(10)
	return history.Sample{
		Arrivals: 1000 * random.Float64(), Waiting: random.Int32N(3), Replicas: pods, Ready: pods - random.Int32N(3), Pods: pods, Maximum: 1000, Decisions: random.Int32N(2),
	}
}
