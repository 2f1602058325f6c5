package controller

import (
	"context"
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
	Report() (version string, traffic []dispatch.Traffic)
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
	version, traffic := counts.Report()
	var err error
	// A load balancer without any traffic reports too: that it sees none is what the controller
	// must know before it lets an application sleep. When a part fails the others must not follow: what
	// was not told would count as quiet.
	for n := int32(1); err == nil && (n == 1 || len(traffic) > 0); n++ {
		part := traffic[:min(len(traffic), reportedApps)]
		rest := traffic[len(part):]
		if err = c.deliver(ctx, version, part, n, len(rest) > 0, leaving); err != nil {
			counts.Restore(traffic)
		}
		traffic = rest
	}
	if life.Err() == nil { // a report cut short by our own end says nothing of the controller
		c.ended("traffic", err)
	}
	return err
}

func (c *Client) deliver(ctx context.Context, version string, traffic []dispatch.Traffic, part int32, continued, leaving bool) error {
	c.sequence++
	report := autoscaler.TrafficReport{
		Balancer: c.o.Identity, StartedAt: c.o.StartedAt, Sequence: c.sequence, Leaving: leaving && !continued,
		Applications: make([]autoscaler.ApplicationTraffic, 0, len(traffic)),
	}
	if part > 1 || continued { // a controller older than parts is told of none
		report.Part, report.Continued = &part, &continued
	}
	if version != "" {
		report.RoutesVersion = &version
	}
	for _, t := range traffic {
		report.Applications = append(report.Applications, applicationTraffic(t))
	}
	answer, err := c.api.ReportTrafficWithResponse(ctx, report)
	if err != nil {
		return err
	}
	if answer.JSON200 == nil {
		return refused(answer.StatusCode(), answer.Body)
	}
	return nil
}
