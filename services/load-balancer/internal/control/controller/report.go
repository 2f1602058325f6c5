package controller

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
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
	well, refusals := true, 0
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
		if refusals++; !errors.Is(err, errNotLet) {
			refusals = 0
		}
		if refusals > 1 { // one may be a token that was replaced meanwhile
			retry.Pause(ctx, pause(err, refusals-1))
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
// follow: what was not told would count as quiet. A shard that asks for everything is no failure: the others
// are told to the end, and it is told everything with the next report.
func (c *Client) tell(ctx context.Context, counts Counts, leaving bool) error {
	r := report{leaving: leaving, delta: c.told.knows(), later: c.told.epoch != ""}
	var named []dispatch.Traffic
	var of int
	if r.delta && c.told.all() {
		r.version, named, of = counts.Changed()
	} else {
		r.version, named = counts.Report()
		of = len(named)
	}
	r.address(&c.told)
	named = c.told.begin(named, r.delta)
	lost := make([]bool, len(c.told.shards))
	rest := named
	for first := true; first || len(rest) > 0; first = false {
		r.part++
		r.traffic = rest[:min(len(rest), reportedApps)]
		r.continued = len(r.traffic) < len(rest)
		lacking, err := c.deliver(ctx, r)
		if err != nil {
			counts.Restore(rest)
			return err
		}
		for i, lacks := range lacking {
			lost[i] = lost[i] || lacks
		}
		counts.Restore(ofShards(r.traffic, lacking))
		rest = rest[len(r.traffic):]
	}
	if c.told.took(named, r, of, lost); slices.Contains(lost, true) {
		return errResync
	}
	return nil
}

// report is one, or a part of one.
type report struct {
	version   string
	shards    []autoscaler.ShardReport // what is said to each shard alone; nil: there are none, as far as is known
	traffic   []dispatch.Traffic
	part      int32
	continued bool
	delta     bool // to any shard
	later     bool // it has the fields that came with epochs
	leaving   bool
}

// address says to each shard what is for it alone.
func (r *report) address(k *told) {
	versions := strings.Split(r.version, " ")
	if len(versions) > 1 {
		r.version = "" // of no controller without shards
	}
	if len(k.shards) == 0 {
		return
	}
	r.shards = make([]autoscaler.ShardReport, len(k.shards))
	for i, s := range k.shards {
		one := &r.shards[i]
		if s.epoch != "" {
			one.Epoch, one.Delta = new(s.epoch), new(s.whole)
		}
		if len(versions) == len(k.shards) && versions[i] != unknownVersion {
			one.RoutesVersion = &versions[i]
		}
	}
}

// deliver sends a part, and returns which shards lack what it builds on. A controller whose receipts have no
// epoch is an older one that may refuse fields that it does not know, and is told in the words that it knows.
func (c *Client) deliver(ctx context.Context, r report) (lacking []bool, err error) {
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
		if r.shards != nil {
			out.Shards = &r.shards
		}
	}
	for i := range r.traffic {
		out.Applications = append(out.Applications, applicationTraffic(&r.traffic[i], r.later))
	}
	sent := time.Now()
	answer, err := c.api.ReportTrafficWithResponse(ctx, out)
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		if answer.StatusCode() == http.StatusBadRequest && r.later {
			c.told = told{} // an older one answers now
			return nil, errResync
		}
		return nil, refused(answer.StatusCode(), answer.Body)
	}
	lacking, err = c.took(answer.JSON200, r)
	if err == nil && c.o.Taken != nil && !r.leaving && !r.continued && value(answer.JSON200.Leader) {
		c.o.Taken(sent)
	}
	return lacking, err
}

// took notes who took a part.
func (c *Client) took(receipt *autoscaler.TrafficReceipt, r report) (lacking []bool, err error) {
	before, epoch, shards := c.told.epoch, value(receipt.Epoch), value(receipt.Shards)
	c.told.epoch = epoch
	if len(shards) == 0 || len(shards) != len(r.shards) {
		if c.told.meet(shards); value(receipt.Resync) || r.delta && (epoch != before || len(r.shards) > 0) {
			return nil, errResync
		}
		if epoch != "" && (before == "" && c.o.Address != "" || len(shards) > 0) {
			c.ReportSoon() // with what could not be said before
		}
		return nil, nil
	}
	lacking = make([]bool, len(shards))
	for i, s := range shards {
		asked := r.shards[i]
		lacking[i] = value(s.Resync) || value(asked.Delta) && value(asked.Epoch) != s.Epoch
		c.told.shards[i].epoch = s.Epoch
	}
	return lacking, nil
}
