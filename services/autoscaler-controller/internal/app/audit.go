package app

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
)

// audit writes each change that somebody made through the controller as one line of the log, "audit", whatever the
// log's level.
type audit struct {
	log     *slog.Logger
	changes *prometheus.CounterVec
}

func newAudit(log *slog.Logger, registry prometheus.Registerer) *audit {
	a := &audit{slog.New(always{log.Handler()}), prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nemesis_changes_total", Help: "Changes that somebody asked for through the controller, each with a line in the log, by what became of them.",
	}, []string{"operation", "result"})}
	for _, operation := range []string{"putBalancerSettings", "createCustomAutoscaler", "replaceCustomAutoscaler", "patchCustomAutoscaler", "deleteCustomAutoscaler"} {
		for _, result := range []string{changeMade, changeRefused} {
			a.changes.WithLabelValues(operation, result)
		}
	}
	registry.MustRegister(a.changes)
	return a
}

// What became of a change.
const (
	changeMade    = "made"
	changeRefused = "refused"
)

// Changed writes it down.
func (a *audit) Changed(ctx context.Context, c httpapi.Change) {
	result := changeMade
	if c.Status >= 400 {
		result = changeRefused
	}
	a.changes.WithLabelValues(c.Operation, result).Inc()
	attrs := []slog.Attr{slog.String("who", c.Who), slog.String("operation", c.Operation), slog.String("resource", c.Resource), slog.Int("status", c.Status)}
	if c.Before != nil {
		attrs = append(attrs, slog.Any("before", c.Before))
	}
	if c.After != nil {
		attrs = append(attrs, slog.Any("after", c.After))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

// always writes whatever the level.
type always struct{ slog.Handler }

// Enabled says so.
func (always) Enabled(context.Context, slog.Level) bool { return true }
