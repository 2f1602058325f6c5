package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Main is the whole program: settings, telemetry, the service, until ctx ends.
func Main(ctx context.Context, args, environ []string, out io.Writer) error {
	s, values, err := Load(args, environ, out)
	if errors.Is(err, settings.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	t, err := telemetry.Start(ctx, telemetry.Options{
		Service: "autoscaler-controller", Instance: s.Identity, Level: s.level(), Out: out,
	})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := t.Close(closing); err != nil {
			t.Log.Warn("the last spans were not sent", "error", err)
		}
	}()
	// client-go speaks through klog; its faults belong into the same log, its chatter does not.
	klog.SetLogger(logr.FromSlogHandler(faults{t.Log.Handler()}))
	config, err := kube.Config(s.Kubeconfig)
	if err != nil {
		return err
	}
	a, err := New(ctx, s, config, t)
	if err != nil {
		return err
	}
	t.Log.Info("configured", "settings", values)
	if err := a.Run(ctx); err != nil {
		return fmt.Errorf("autoscaler-controller: %w", err)
	}
	t.Log.Info("ended")
	return nil
}

// faults lets only warnings and errors through.
type faults struct{ slog.Handler }

func (f faults) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && f.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the filter.
func (f faults) WithAttrs(attrs []slog.Attr) slog.Handler { return faults{f.Handler.WithAttrs(attrs)} }

// WithGroup keeps the filter.
func (f faults) WithGroup(name string) slog.Handler { return faults{f.Handler.WithGroup(name)} }
