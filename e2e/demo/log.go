package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

const (
	shown        = 6 // requests of the log
	stream       = "logs-nemesis.access-default"
	loggedWithin = 30 * time.Second // what is logged can be searched a second or two later
)

// lastRequests prints the newest requests of the log, and where they are kept: in the Elasticsearch
// at elastic, or, when that is "", with the load balancer itself.
func lastRequests(ctx context.Context, out io.Writer, admin, elastic string, sign loadbalancer.RequestEditorFn) error {
	ctx, cancel := context.WithTimeout(ctx, loggedWithin)
	defer cancel()
	api, err := loadbalancer.NewClientWithResponses(admin, loadbalancer.WithRequestEditorFn(sign))
	if err != nil {
		return err
	}
	items, err := logged(ctx, api)
	if err != nil {
		return err
	}
	where := "with the load balancer; with an Elasticsearch it would be there"
	if elastic != "" {
		n, err := count(ctx, elastic)
		if err != nil {
			return err
		}
		where = fmt.Sprintf("in Elasticsearch, where %s holds %d", stream, n)
	}
	fmt.Fprintf(out, "\n7. Every request is logged (%s). The last that were answered:\n\n", where)
	fmt.Fprintf(out, "   %-12s  %-6s  %-28s  %6s  %9s  %9s  %s\n", "TIME", "METHOD", "PATH", "STATUS", "MS", "WAITED MS", "POD")
	for _, l := range items {
		fmt.Fprintf(out, "   %-12s  %-6s  %-28s  %6d  %9.1f  %9s  %s\n",
			l.Timestamp.Local().Format("15:04:05.000"), l.HttpMethod, value(l.Path), l.Status, l.LatencyMs, milliseconds(l.WaitedMs), value(l.Pod))
	}
	return nil
}

// logged are the newest requests to the model server and to the application under load.
func logged(ctx context.Context, api *loadbalancer.ClientWithResponses) ([]loadbalancer.ProxyLog, error) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		var items []loadbalancer.ProxyLog
		for _, name := range []string{burner, deployment} {
			ns, limit, status := namespace, shown/2, "2xx" // the scene ended by hanging up on some
			res, err := api.ListProxyLogsWithResponse(ctx, &loadbalancer.ListProxyLogsParams{Namespace: &ns, Deployment: &name, Limit: &limit, Status: &status})
			switch {
			case err != nil:
				last = err.Error()
			case res.JSON200 == nil:
				last = fmt.Sprintf("%s %s", res.Status(), res.Body)
			case len(res.JSON200.Items) == 0:
				last = "no request to " + name
			default:
				items = append(items, res.JSON200.Items...)
				continue
			}
			items = nil
			break
		}
		if len(items) > 0 {
			return items, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting until the requests are in the log: %w (last seen: %s)", ctx.Err(), last)
		case <-tick.C:
		}
	}
}

// count is how many requests Elasticsearch holds.
func count(ctx context.Context, elastic string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(elastic, "/")+"/"+stream+"/_count", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	var found struct {
		Count int64 `json:"count"`
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("elasticsearch: %s", res.Status)
	}
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&found)
	return found.Count, err
}

func value(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func milliseconds(ms *float64) string {
	if ms == nil || *ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", *ms)
}
