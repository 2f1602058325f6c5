package app_test

import (
	"context"
	"flag"
	"io"
	"path/filepath"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/testmetrics"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app/batching"
)

var update = flag.Bool("update", false, "write METRICS.md")

func TestMetrics_AreThoseOfThePage(t *testing.T) {
	r, url := controller(t)
	folder := t.TempDir()
	proc(t, folder, 100)
	s, err := app.Load([]string{
		"-listen", "127.0.0.1:0", "-pod-name", "web-x", "-pod-namespace", "default", "-cgroup-root", t.TempDir(), "-proc-root", folder,
		"-controller-url", url, "-interval", "1s",
	}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	sidecar, err := app.New(t.Context(), s, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cs, err := batching.Load([]string{"-listen", "127.0.0.1:0", "-name", "collector-x", "-controller-url", url, "-authentication", "optional"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	collector, err := batching.New(t.Context(), cs, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- sidecar.Run(ctx) }()
	go func() { ended <- collector.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	})
	r.wait(t, "a measurement", func(taken []common.PodMetrics) bool { return len(taken) > 0 })
	testmetrics.Check(t, filepath.Join("..", "..", "METRICS.md"), *update,
		testmetrics.Program{Name: "sidecar", Registry: sidecar.Registry()}, testmetrics.Program{Name: "metrics-collector", Registry: collector.Registry()})
}
