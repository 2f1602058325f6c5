package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
)

const (
	mega        = 1 << 20
	restlessFor = 10 * time.Second
)

// look is how long the CPU is looked at to tell whether it is quiet.
func (o options) look() time.Duration {
	if o.quick {
		return time.Second
	}
	return 2 * time.Second
}

// use is the share of a core that the controller takes over a time.
func (b *bench) use(ctx context.Context, d time.Duration) (float64, error) {
	before, err := b.leader.CPU()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	pause(ctx, d)
	after, err := b.leader.CPU()
	return float64(after-before) / float64(time.Since(began)), err
}

// settle waits until the controller rests: three looks in a row find it idle. It says how busy that is, and gives up where what it has heard keeps it busy for too long; where that
// was so once, it is not waited for long again.
func (b *bench) settle(ctx context.Context) (share float64, err error) {
	patience := b.build.settle
	if b.restless {
		patience = min(patience, restlessFor)
	}
	var last []float64
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && ctx.Err() == nil; {
		share, err = b.use(ctx, b.look())
		if err != nil {
			return share, err
		}
		if last = append(last, share); rests(last) {
			return share, nil
		}
	}
	b.restless = true
	return share, nil
}

// rests tells by the shares of a core that were used lately whether what was to do is done. One that is
// evenly busy does not rest: it may well work something off at a pace, such as the statuses of all.
func rests(shares []float64) bool {
	const looks, idle = 3, 0.02
	return len(shares) >= looks && slices.Max(shares[len(shares)-looks:]) <= idle
}

// quiet is how long a controller that has just started works until it rests.
func (b *bench) quiet(ctx context.Context, r *report.Run) error {
	began := time.Now()
	share, err := b.settle(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	cpu, err := b.leader.CPU()
	r.Set(report.SettleTime, took.Seconds())
	r.Set(report.SettleCPU, cpu.Seconds())
	if b.restless {
		r.Note(fmt.Sprintf("it was still busy (%.0f%% of a core) %s after its start, and measured all the same", 100*share, took.Round(time.Second)))
	}
	return err
}

// atRest is what it costs that nothing happens.
func (b *bench) atRest(ctx context.Context, r *report.Run) error {
	before := b.balancers.Sum()
	began := time.Now()
	share, err := b.use(ctx, max(b.span(), 5*b.look()))
	if err != nil {
		return err
	}
	after, seconds := b.balancers.Sum(), time.Since(began).Seconds()
	r.Set(report.RestCPU, 100*share)
	r.Set(report.RestRoutes, float64(after.RoutesIn-before.RoutesIn)/seconds/balancers)
	r.Set(report.RestReports, float64(after.ReportsOut-before.ReportsOut)/float64(after.Reports-before.Reports))
	m, err := b.leader.Memory(ctx)
	if err != nil {
		return err
	}
	// Under load a controller may lose its Lease, and with that its histories for a while: they are counted now.
	metrics, err := b.leader.Metrics(ctx)
	if err != nil {
		return err
	}
	if bytes, known := metrics["nemesis_history_bytes"]; known { // the last release keeps none
		r.Set(report.RestHistory, bytes/mega)
	}
	n := float64(r.Applications) * 1024
	r.Set(report.RestRSS, m.RSS/mega)
	r.Set(report.RestHeap, m.Live/mega)
	r.Set(report.AppRSS, (m.RSS-b.empty.RSS)/n)
	r.Set(report.AppHeap, (m.Live-b.empty.Live)/n)
	return nil
}
