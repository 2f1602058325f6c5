package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/spool"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// followDecisions keeps the controller's decisions in the log, and followChanges what people changed through it. How far
// it has come outlives the process, beside the spool; where it is lost they are told anew, and the index keeps each once.
func (a *App) followDecisions(ctx context.Context) {
	path := filepath.Join(a.settings.LogSpoolDir, "decisions")
	a.controller.FollowDecisions(ctx, scalinglog.NewPlace[scalinglog.Decision](readPlace(path)), a.logs.scaling.Decided, a.keepPlace(path))
}

func (a *App) followChanges(ctx context.Context) {
	path := filepath.Join(a.settings.LogSpoolDir, "changes")
	a.controller.FollowChanges(ctx, scalinglog.NewPlace[scalinglog.Change](readPlace(path)), a.logs.scaling.Changed, a.keepPlace(path))
}

// keepPlace keeps a place in a file.
func (a *App) keepPlace(path string) func(time.Time) {
	return func(at time.Time) {
		if a.logs.spool.Stats().Failing != nil {
			return // it is another's folder, or cannot be written: what was told is told again
		}
		if err := writePlace(path, at); err != nil {
			a.log.Warn("the place in what the controller tells was not kept", "file", path, "error", err)
		}
	}
}

func readPlace(path string) time.Time {
	text, _ := os.ReadFile(path) //nolint:gosec // G304: the operator names the folder
	at, _ := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(text)))
	return at
}

func writePlace(path string, at time.Time) error {
	return spool.Replace(path, []byte(at.UTC().Format(time.RFC3339Nano)+"\n"))
}

// wakeUpOf is a wake-up as the log keeps it.
func wakeUpOf(app routing.Application, w dispatch.WakeUp) scalinglog.WakeUp {
	return scalinglog.WakeUp{
		ID: w.ID, Application: accesslog.Application(app), ArrivedAt: w.ArrivedAt, StartCalledAt: w.StartCalledAt, StartAnsweredAt: w.StartAnsweredAt,
		FirstProbeAt: w.FirstProbeAt, FirstByteAt: w.FirstByteAt, Pod: w.Pod, Waited: w.Waited, Answered: w.Outcome == dispatch.WakeAnswered,
	}
}
