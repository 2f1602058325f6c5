package controller

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
)

// When traffic is reported, and how much of it at once.
const (
	reportPeriod  = time.Second
	reportSpacing = 10 * time.Millisecond // at least, also when there is news all the time
	reportTimeout = 2 * time.Second
	reportedApps  = 2000 // in one part of a report, well below what the contract and the controller's bound on bodies allow
)

// Counts are what is reported.
type Counts interface {
	// Report is all there is, and Changed what there may be something new of since the one or the other was
	// asked before, and of how many applications there is any at most.
	Report() (version string, traffic []dispatch.Traffic)
	Changed() (version string, traffic []dispatch.Traffic, of int)
	Restore(traffic []dispatch.Traffic)
}

// ReportSoon has the next report sent at once. It never blocks.
func (c *Client) ReportSoon() {
	select {
	case c.soon <- struct{}{}:
	default: // one is due already
	}
}

// Report reports traffic every second, and at once after ReportSoon, until ctx ends.
func (c *Client) Report(ctx context.Context, counts Counts) {
	c.ReportSoon() // whoever has routes may send requests, and the controller must know that we exist
	ticker := time.NewTicker(reportPeriod)
	defer ticker.Stop()
	well := true
	for {
		select {
		case <-ticker.C:
		case <-c.soon:
		case <-ctx.Done():
			return
		}
		err := c.report(ctx, counts, false)
		if (err == nil) != well && ctx.Err() == nil {
			well = err == nil
			if well {
				c.o.Log.Info("traffic is reported again")
			} else {
				c.o.Log.Warn("traffic not reported", "error", err)
			}
		}
		retry.Pause(ctx, reportSpacing)
	}
}

// Leave sends the last report: this balancer has drained, and must not be waited for any more.
func (c *Client) Leave(ctx context.Context, counts Counts) error { return c.report(ctx, counts, true) }

func (c *Client) report(life context.Context, counts Counts, leaving bool) error {
	ctx, cancel := context.WithTimeout(life, reportTimeout)
	defer cancel()
	err := c.tell(ctx, counts, leaving)
	if errors.Is(err, errResync) {
		err = c.tell(ctx, counts, leaving) // now of everything
	}
	if life.Err() == nil { // a report cut short by our own end says nothing of the controller
		c.ended("traffic", err)
	}
	return err
}

// errResync is that the controller does not know what a report builds on.
var errResync = errors.New("the controller asks for everything")

// tell sends one report. A load balancer without any traffic reports too: that it sees none is what
// the controller must know before it lets an application sleep. When a part fails the others must not
// follow: what was not told would count as quiet.
func (c *Client) tell(ctx context.Context, counts Counts, leaving bool) error {
	r := report{leaving: leaving, delta: c.told.knows(), later: c.told.epoch != ""}
	var named []dispatch.Traffic
	of := 0
	if r.delta {
		r.version, named, of = counts.Changed()
		named = c.told.changed(named)
	} else {
		r.version, named = counts.Report()
		c.told.apps = nil
	}
	c.told.whole = false
	rest := named
	for first := true; first || len(rest) > 0; first = false {
		r.part++
		r.traffic = rest[:min(len(rest), reportedApps)]
		r.continued = len(r.traffic) < len(rest)
		if err := c.deliver(ctx, r); err != nil {
			counts.Restore(rest)
			return err
		}
		rest = rest[len(r.traffic):]
	}
	c.told.took(named, r, of)
	return nil
}

// report is one, or a part of one.
type report struct {
	version   string
	traffic   []dispatch.Traffic
	part      int32
	continued bool
	delta     bool
	later     bool // it has the fields that came with epochs
	leaving   bool
}

// deliver sends a part. A controller whose receipts have no epoch is an older one that may refuse
// fields that it does not know, and is told in the words that it knows.
func (c *Client) deliver(ctx context.Context, r report) error {
	c.sequence++
	out := autoscaler.TrafficReport{
		Balancer: c.o.Identity, StartedAt: c.o.StartedAt, Sequence: c.sequence, Leaving: r.leaving && !r.continued,
		Applications: make([]autoscaler.ApplicationTraffic, 0, len(r.traffic)),
	}
	if r.part > 1 || r.continued { // a controller older than parts is told of none
		out.Part, out.Continued = &r.part, &r.continued
	}
	if r.version != "" {
		out.RoutesVersion = &r.version
	}
	if r.later {
		epoch := c.told.epoch
		out.Epoch, out.Delta = &epoch, &r.delta
		if c.o.ForgetAfter > 0 {
			out.ForgetAfterSeconds = new(int32(c.o.ForgetAfter / time.Second)) //nolint:gosec // G115: a minute at most
		}
		if c.o.Address != "" {
			out.Address = &c.o.Address
		}
	}
	for i := range r.traffic {
		out.Applications = append(out.Applications, applicationTraffic(&r.traffic[i], r.later))
	}
	sent := time.Now()
	answer, err := c.api.ReportTrafficWithResponse(ctx, out)
	if err != nil {
		return err
	}
	if answer.JSON200 == nil {
		if answer.StatusCode() == http.StatusBadRequest && r.later {
			c.told = told{} // an older one answers now
			return errResync
		}
		return refused(answer.StatusCode(), answer.Body)
	}
	err = c.took(value(answer.JSON200.Epoch), value(answer.JSON200.Resync), r)
	if err == nil && c.o.Taken != nil && !r.leaving && !r.continued && value(answer.JSON200.Leader) {
		c.o.Taken(sent)
	}
	return err
}

// took notes who took a part.
func (c *Client) took(epoch string, resync bool, r report) error {
	before := c.told.epoch
	c.told.epoch = epoch
	if resync || r.delta && epoch != before {
		return errResync
	}
	if before == "" && epoch != "" && c.o.Address != "" {
		c.ReportSoon() // with what could not be said before
	}
	return nil
}
