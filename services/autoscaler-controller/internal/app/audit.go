package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/pace"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/changes"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
)

// audit writes each change that somebody made through the controller as one line of the log, "audit", whatever the
// log's level, and has the load balancers ship it with theirs. Who was refused something is named too: a change as a
// change, anything else by a line "refused", at a pace for each caller, so that nobody fills the log by asking.
type audit struct {
	log     *slog.Logger
	book    *changes.Book
	epoch   string
	last    atomic.Uint64
	changes *prometheus.CounterVec
	leftOut prometheus.Counter
	unheard prometheus.Counter
	paces   *pace.Paces[string]
	now     func() time.Time
}

// Of each caller so many refusals are written in a second, and at once after a rest; of so many callers.
const refusalCallers = 1000

var refusals = pace.Pace{PerSecond: 1, Burst: 20}

// changing are the operations that change something, with what; %s is a namespace.
var changing = map[string]string{
	"putBalancerSettings": httpapi.SettingsResource, "createCustomAutoscaler": "customautoscalers/%s", "replaceCustomAutoscaler": "customautoscalers/%s",
	"patchCustomAutoscaler": "customautoscalers/%s", "deleteCustomAutoscaler": "customautoscalers/%s",
}

func newAudit(log *slog.Logger, registry prometheus.Registerer, epoch string) *audit {
	a := &audit{
		log: slog.New(always{log.Handler()}), book: changes.New(), epoch: epoch, paces: pace.New[string](refusalCallers), now: time.Now,
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_changes_total", Help: "Changes that somebody asked for through the controller, by what became of them. Each that was made has a line in the log.",
		}, []string{"operation", "result"}),
		leftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nemesis_refusals_unnamed_total", Help: "Refusals of callers that have no line in the log, for the same caller had many already.",
		}),
		unheard: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nemesis_changes_not_handed_over_total", Help: "Times that the leader did not take the changes that went through this replica; it is told them again.",
		}),
	}
	for operation := range changing {
		for _, result := range []string{changeMade, changeRefused} {
			a.changes.WithLabelValues(operation, result)
		}
	}
	registry.MustRegister(a.changes, a.leftOut, a.unheard)
	return a
}

// What became of a change.
const (
	changeMade    = "made"
	changeRefused = "refused"
)

// Changed writes it down.
func (a *audit) Changed(ctx context.Context, c httpapi.Change) {
	kept := changes.Fit(changes.Change{
		ID: fmt.Sprintf("%s-%d", a.epoch, a.last.Add(1)), Time: a.now(), Who: c.Who, Operation: c.Operation, Namespace: c.Namespace, Resource: c.Resource,
		Status: c.Status, Reason: c.Reason, Before: c.Before, After: c.After,
	})
	result := changeMade
	if !kept.Made() {
		result = changeRefused
	}
	a.changes.WithLabelValues(c.Operation, result).Inc()
	if !kept.Made() && !a.named(c.Who) {
		return
	}
	a.book.Take(kept)
	attrs := []slog.Attr{
		slog.String("id", kept.ID), slog.String("who", kept.Who), slog.String("operation", kept.Operation), slog.String("resource", kept.Resource), slog.Int("status", kept.Status),
	}
	if kept.Reason != "" {
		attrs = append(attrs, slog.String("reason", kept.Reason))
	}
	for _, side := range []struct {
		name string
		is   json.RawMessage
	}{{"before", kept.Before}, {"after", kept.After}} {
		if side.is != nil {
			attrs = append(attrs, slog.Any(side.name, side.is))
		}
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

// Refused names who was refused what, where that one is known: nobody has asked otherwise.
func (a *audit) Refused(ctx context.Context, r guard.Refusal) {
	if r.Who == "" || r.Code != fault.Forbidden && r.Code != fault.TooMany {
		return
	}
	if what, change := changing[r.Operation]; change {
		if strings.Contains(what, "%s") {
			what = fmt.Sprintf(what, r.Namespace)
		} else {
			r.Namespace = ""
		}
		a.Changed(ctx, httpapi.Change{Who: r.Who, Operation: r.Operation, Namespace: r.Namespace, Resource: what, Status: r.Code.Status(), Reason: r.Why})
		return
	}
	if !a.named(r.Who + "/" + r.Pod) {
		return
	}
	attrs := []slog.Attr{slog.String("who", r.Who), slog.String("operation", r.Operation), slog.Int("status", r.Code.Status()), slog.String("reason", r.Why)}
	if r.Pod != "" {
		attrs = append(attrs, slog.String("pod", r.Pod))
	}
	if r.Namespace != "" {
		attrs = append(attrs, slog.String("namespace", r.Namespace))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "refused", attrs...)
}

// named tells whether a refusal of this caller is written.
func (a *audit) named(who string) bool {
	if a.paces.Take(who, refusals, a.now()) {
		return true
	}
	a.leftOut.Inc()
	return false
}

// always writes whatever the level.
type always struct{ slog.Handler }

// Enabled says so.
func (always) Enabled(context.Context, slog.Level) bool { return true }
