package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

func logs(t *tool) *cobra.Command {
	var q logQuery
	c := &cobra.Command{
		Use: "logs [APP]", GroupID: asks,
		Short: "The requests that went through the load balancers",
		Long: `The proxied requests, the newest last. Without an Elasticsearch each load balancer has its own, and all are asked; with one they are there
some seconds after they ended. With --follow new ones are shown as they end.`,
		Example: `  nemesis logs modelserver --tail 20
  nemesis logs modelserver --follow --status 5xx
  nemesis logs --since 10m --method POST --path /v1/chat
  nemesis logs -o json --follow | jq 'select(.latency_ms > 1000)'`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.read(cmd.Context(), t, args); err != nil {
				return err
			}
			return t.logs(cmd.Context(), q)
		},
	}
	f := c.Flags()
	f.IntVar(&q.tail, "tail", 100, "at most so many of those that are there, from 1 to 1000")
	f.BoolVarP(&q.follow, "follow", "f", false, "go on with those that come")
	f.DurationVar(&t.every, "interval", 2*time.Second, "with --follow, how often is looked")
	f.StringVar(&q.since, "since", "", "only requests that began at or after a `moment`: a time (RFC 3339), or how long ago (10m)")
	f.StringVar(&q.until, "until", "", "only requests that began before a `moment`")
	f.StringVar(&q.status, "status", "", "only answers with this `status` (404) or of this class (5xx)")
	f.StringVar(&q.method, "method", "", "only requests with this `method`")
	f.StringVar(&q.client, "client", "", "only requests of this IP `address`")
	f.StringVar(&q.text, "path", "", "only requests whose path or target contains this `text`")
	c.MarkFlagsMutuallyExclusive("follow", "until")
	return t.allFlag(c)
}

// logQuery is what of the log is asked for.
type logQuery struct {
	since, until, status, method, client, text string
	tail                                       int
	follow                                     bool

	params loadbalancer.ListProxyLogsParams
}

func (q *logQuery) read(ctx context.Context, t *tool, args []string) error {
	if err := errors.Join(within("--tail", q.tail, 1000), t.paced()); err != nil {
		return err
	}
	p := &q.params
	p.Namespace, p.Limit = some(t.namespace()), &q.tail
	if len(args) == 1 {
		name, err := t.nemesis.NameOf(args[0])
		if err != nil {
			return err
		}
		if a, err := t.nemesis.Application(ctx, name); err == nil {
			name.Name = a.Deployment // else it may have been one, and the log remembers it
		}
		p.Namespace, p.Deployment = &name.Namespace, &name.Name
	}
	for _, moment := range []struct {
		flag, said string
		to         **time.Time
	}{{"--since", q.since, &p.Since}, {"--until", q.until, &p.Until}} {
		at, err := t.moment(moment.flag, moment.said)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			*moment.to = &at
		}
	}
	p.Status, p.ClientIp, p.Text = some(strings.ToLower(q.status)), some(q.client), some(q.text)
	p.HttpMethod = some(strings.ToUpper(q.method))
	return nil
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// The bounds of following: pages that are read at a time, the least that is on one, and records that are remembered.
const (
	followPages  = 10
	followPage   = 100
	followMemory = 20_000
)

// logs shows the newest records of all load balancers, and goes on where that was asked for.
func (t *tool) logs(ctx context.Context, q logQuery) error {
	if q.follow { // what is shown of the past says nothing of what comes
		q.params.Limit = new(max(q.tail, followPage))
	}
	p := t.progress("asking the load balancers")
	balancers, whole, err := t.nemesis.Balancers(ctx)
	var entries []loadbalancer.ProxyLog
	if err == nil {
		entries, err = newest(ctx, balancers, q.params, &remembered{}, 1)
	}
	p.end()
	if err != nil {
		return err
	}
	if !whole && t.output != "json" && t.output != "yaml" {
		fmt.Fprintln(t.Err, t.paint(show.Faint, "One load balancer is asked: you may not see how many there are. Without an Elasticsearch others have more."))
	}
	older := entries[:max(len(entries)-q.tail, 0)]
	entries = entries[len(older):]
	if len(entries) == 0 && !q.follow && t.output == "" {
		fmt.Fprintln(t.Out, "No such requests are in the log.")
		return nil
	}
	if !q.follow {
		if entries == nil {
			entries = []loadbalancer.ProxyLog{}
		}
		return t.print(view{entries, func(w io.Writer) { t.entries(w, entries) }})
	}
	var seen remembered
	for _, e := range older { // they are not shown later either
		seen.add(e.Id)
	}
	return t.follow(ctx, balancers, q.params, entries, &seen)
}

// remembered are the ids of the last records, at least half of followMemory and at most all of it.
type remembered struct{ newer, older map[string]bool }

func (r *remembered) has(id string) bool { return r.newer[id] || r.older[id] }

func (r *remembered) add(id string) {
	if r.newer == nil || len(r.newer) == followMemory/2 {
		r.newer, r.older = map[string]bool{}, r.newer
	}
	r.newer[id] = true
}

// follow shows entries, and what comes that was not seen.
func (t *tool) follow(ctx context.Context, balancers []client.Balancer, p loadbalancer.ListProxyLogsParams, entries []loadbalancer.ProxyLog, seen *remembered) error {
	for {
		for _, e := range entries {
			seen.add(e.Id)
			if err := t.entry(e); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.every):
		}
		var err error
		switch entries, err = newest(ctx, balancers, p, seen, followPages); {
		case err == nil, ctx.Err() != nil: // the next thing ends it
		case !passing(err):
			return err
		default:
			fmt.Fprintln(t.Err, t.paint(show.Bad, "nemesis:"), err)
		}
	}
}

// newest are the newest records of all load balancers that are not known yet, each once, the newest last: of each so
// many pages, or until one comes up that is known.
func newest(ctx context.Context, balancers []client.Balancer, p loadbalancer.ListProxyLogsParams, known *remembered, pages int) ([]loadbalancer.ProxyLog, error) {
	var all []loadbalancer.ProxyLog
	taken := map[string]bool{}
	for _, b := range balancers {
		p.After = nil
		for range pages {
			page, err := b.Logs(ctx, p)
			if err != nil {
				return nil, err
			}
			met := false
			for _, e := range page.Items {
				if known.has(e.Id) {
					met = true
				} else if !taken[e.Id] {
					taken[e.Id] = true
					all = append(all, e)
				}
			}
			if p.After = page.Next; met || page.Next == nil {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b loadbalancer.ProxyLog) int { return a.Timestamp.Compare(b.Timestamp) })
	return all, nil
}

// entries are a table.
func (t *tool) entries(w io.Writer, all []loadbalancer.ProxyLog) {
	table := show.Table{Heads: []string{"TIME", "STATUS", "TOOK", "WAITED", "METHOD", "PATH", "APPLICATION", "POD"}}
	if t.wide() {
		table.Heads = append(table.Heads, "CLIENT", "TRIES", "IN", "OUT", "TRACE", "WHY THIS POD", "ERROR")
	}
	for _, e := range all {
		table.Cells(t.cells(e)...)
	}
	table.Write(w, t.palette())
}

func (t *tool) cells(e loadbalancer.ProxyLog) []show.Cell {
	waited := ""
	if value(e.WaitedMs) > 0 {
		waited = show.Milliseconds(*e.WaitedMs)
	}
	cells := []show.Cell{
		{Text: e.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z"), Tone: show.Faint}, {Text: fmt.Sprint(e.Status), Tone: statusTone(e.Status)},
		{Text: show.Milliseconds(e.LatencyMs)}, {Text: waited}, {Text: e.HttpMethod}, {Text: value(e.Path)},
		{Text: strings.Trim(value(e.Namespace)+"/"+value(e.Deployment), "/")}, {Text: value(e.Pod)},
	}
	if t.wide() {
		cells = append(cells, show.Cell{Text: e.ClientIp}, show.Cell{Text: fmt.Sprint(value(e.Tries))}, show.Cell{Text: show.Bytes(value(e.RequestBytes))},
			show.Cell{Text: show.Bytes(value(e.ResponseBytes))}, show.Cell{Text: value(e.TraceId)}, show.Cell{Text: value(e.Policy)}, show.Cell{Text: value(e.Error), Tone: show.Bad})
	}
	return cells
}

// entry is one record on a line, as it comes.
func (t *tool) entry(e loadbalancer.ProxyLog) error {
	switch t.output {
	case "json":
		return json.NewEncoder(t.Out).Encode(e)
	case "yaml":
		text, err := t.render(view{value: e}, true)
		if err == nil {
			_, err = t.Out.Write(text)
		}
		return err
	}
	var parts []string
	for _, cell := range t.cells(e) {
		parts = append(parts, t.palette().Paint(cell.Tone, cmp.Or(show.Line(cell.Text), "-")))
	}
	_, err := fmt.Fprintln(t.Out, strings.Join(parts, "  "))
	return err
}

func statusTone(status int32) show.Tone {
	switch {
	case status >= 500:
		return show.Bad
	case status >= 400:
		return show.Busy
	default:
		return show.Good
	}
}
