package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

// How many wake-ups a second there are: as many as are wanted, unless the API server, etcd and this program
// would be at the end of their cores. Then their queues would be measured and not the controller.
const (
	bearablePart  = 0.65 // of the cores of all else
	fewWakeUps    = 5.0  // a second, by which it is told what one costs
	bearableWarm  = 4 * time.Second
	bearableLasts = 6 * time.Second
)

// wanted is how many wake-ups a second there are to be.
func (l *load) wanted() float64 {
	return min(float64(l.wakeups), max(float64(len(l.asleep))/wakeEvery, 1))
}

// bearable is how many there can be. It notes what the controller takes before there are any.
func (l *load) bearable(ctx context.Context, r *report.Run) (float64, error) {
	var err error
	if _, l.pushes, err = l.both(ctx); err != nil {
		return 0, err
	}
	few := min(l.wanted(), fewWakeUps)
	waking, stop := context.WithCancel(ctx)
	defer stop()
	l.probing(waking, len(l.awake)/3) // what decisions cost is there beside wake-ups
	pause(ctx, bearableWarm)
	without, _, err := l.both(ctx)
	if err != nil {
		return 0, err
	}
	l.every(waking, time.Duration(float64(time.Second)/max(few, 0.01)), l.wake)
	pause(ctx, bearableWarm)
	with, _, err := l.both(ctx)
	stop()
	l.running.Wait()
	l.next += l.starter.Latency.Count()
	l.starter.Latency.Reset()
	rate := bear(l.wanted(), few, without, with)
	if rate < l.wanted() {
		r.Note(fmt.Sprintf("%.0f wake-ups a second instead of %.0f: API server, etcd and driver can bear no more with their %d core(s)", rate, l.wanted(), len(process.Others(subjectCPU))))
	}
	return rate, err
}

// bear is the rate, by what part of their cores all others take without any and with few.
func bear(wanted, few, without, with float64) float64 {
	each := (with - without) / few
	if each <= 0 {
		return wanted
	}
	return min(wanted, max((bearablePart-without)/each, few))
}

// both is what part of their cores all others take, and what share of its own the controller.
func (l *load) both(ctx context.Context) (others, share float64, err error) {
	before, err := l.others()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if share, err = l.use(ctx, bearableLasts); err != nil {
		return 0, 0, err
	}
	after, err := l.others()
	return l.spare(after-before, time.Since(began).Seconds()), share, err
}

// spare is a CPU time as a part of what all others have.
func (l *load) spare(used time.Duration, seconds float64) float64 {
	return used.Seconds() / seconds / float64(len(process.Others(subjectCPU)))
}
