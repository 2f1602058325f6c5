package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/retry"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/admin"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
)

const (
	lookEvery = 10 * time.Minute // at the server: templates change seldom
	// recent is how long what has happened once is trouble.
	recent = 10 * time.Minute
	// maxTrouble bounds what is said of each.
	maxTrouble = 1024
	// refusedKind is the trouble with a record that Elasticsearch refuses.
	refusedKind = "refused"
)

// lookAgain is when a server is looked at again that did not answer.
var lookAgain = retry.Backoff{First: time.Second, Most: time.Minute}

// watch looks at the log's server for what no answer to a document tells.
type watch struct {
	writer, reader *elastic.Client
	shipper        *elastic.Shipper
	namespace      string
	log            *slog.Logger

	mu               sync.Mutex
	server, template string // trouble with it; "" is none
}

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) {
	for failures := 0; ; {
		pause := lookEvery
		if failures++; w.look(ctx) {
			failures = 0
		} else {
			pause = lookAgain.Near(failures, rand.Float64)
		}
		if !retry.Pause(ctx, pause) {
			return
		}
	}
}

// look notes what there is, and logs what is new; false when the server did not answer.
func (w *watch) look(ctx context.Context) bool {
	server, template := "", ""
	err := w.writer.Check(ctx)
	switch {
	case errors.Is(err, elastic.ErrOpenSearch):
		server = err.Error()
	default:
		if template, err = w.reader.Overruled(ctx, w.namespace); err != nil {
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if server != "" && server != w.server {
		w.log.Error("elasticsearch-url: nothing of the log will be kept there", "error", server)
	}
	if template != "" && template != w.template {
		w.log.Warn("the log's documents do not get the fields that they should", "why", template)
	}
	w.server, w.template = server, template
	return true
}

// troubles are those of the shipping at this moment.
func (w *watch) troubles(now time.Time) (all []admin.LogTrouble) {
	if why := w.shipper.Holding(); why != "" {
		all = append(all, admin.LogTrouble{Kind: "shipping", Message: why})
	}
	if err := w.reader.Ready(); err != nil {
		all = append(all, admin.LogTrouble{Kind: "shipping", Message: "the log cannot be searched: " + err.Error()})
	}
	if at, why := w.shipper.Refused(); !at.IsZero() && now.Sub(at) < recent {
		all = append(all, admin.LogTrouble{Kind: refusedKind, Message: fmt.Sprintf("Elasticsearch refuses records, the last at %s: %s", at.UTC().Format(time.RFC3339), why)})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range []admin.LogTrouble{{Kind: "server", Message: w.server}, {Kind: "template", Message: w.template}} {
		if t.Message != "" {
			all = append(all, t)
		}
	}
	return all
}

// state is how the log fares at this moment.
func (l *logs) state(now time.Time) admin.LogState {
	stats := l.spool.Stats()
	out := admin.LogState{Trouble: spoolTroubles(stats, now), Waiting: stats.QueueRecords + stats.UnshippedRecords}
	if !stats.OldestUnshipped.IsZero() {
		out.Age = max(now.Sub(stats.OldestUnshipped), 0)
	}
	if l.watch != nil {
		out.Trouble = append(out.Trouble, l.watch.troubles(now)...)
	}
	return out
}

func spoolTroubles(stats spool.Stats, now time.Time) (all []admin.LogTrouble) {
	if stats.Failing != nil {
		all = append(all, admin.LogTrouble{Kind: "folder", Message: stats.Failing.Error()})
	}
	if !stats.LostAt.IsZero() && now.Sub(stats.LostAt) < recent {
		all = append(all, admin.LogTrouble{Kind: "lost", Message: fmt.Sprintf("records were lost, the last at %s: %s", stats.LostAt.UTC().Format(time.RFC3339), stats.LostWhy)})
	}
	return all
}

// texts are the troubles for who has one line for each, be it anybody: what Elasticsearch says of a record that it
// refuses may quote from the record.
func (l *logs) texts() (all []string) {
	for _, t := range l.state(time.Now()).Trouble {
		text := t.Message[:min(len(t.Message), maxTrouble)]
		if t.Kind == refusedKind {
			text = "Elasticsearch refuses records; GET /loadbalancer/state says why"
		}
		all = append(all, "log, "+t.Kind+": "+text)
	}
	return all
}
