package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/asleep"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/exposition"
	"github.com/nemesis-scaling/nemesis/e2e/internal/kube"
)

// cost is what a sidecar takes while its application runs, and what it takes to bring it.
type cost struct {
	ResidentBytes int64   `json:"resident_bytes"` // the largest of those seen
	CoreShare     float64 `json:"core_share"`     // of one core, over the time below
	Seconds       float64 `json:"seconds"`
	Pushes        float64 `json:"pushes"` // that were taken meanwhile
	ProgramBytes  int64   `json:"program_bytes"`
	ImageBytes    int64   `json:"image_bytes"`
}

// The sidecar whose cost is measured: it sends what it measures each time, and shows its metrics to others.
const (
	port     = 8082
	settle   = 20 * time.Second // what only the start costs is no share of a core
	archive  = "build/images/sidecar.tar"
	programs = "build/images/bin/"
)

// measure has a sidecar run for a while.
func measure(ctx context.Context, cluster *kube.Cluster, w io.Writer, watch time.Duration) (c cost, err error) {
	p := place{key: "cost", move: func(pod, sidecar object) {
		env, _ := sidecar["env"].([]any)
		sidecar["env"] = append(env, object{"name": "NEMESIS_LISTEN", "value": ":" + strconv.Itoa(port)}, object{"name": "NEMESIS_DEAD_BAND", "value": "0"})
		containers, _ := pod["containers"].([]any)
		pod["containers"] = append(containers, sidecar)
	}}
	app, err := asleep.Install(ctx, cluster, p.kind())
	if err != nil {
		return c, err
	}
	s := &standing{Application: app, place: p}
	defer func() { err = errors.Join(err, s.Remove(context.WithoutCancel(ctx))) }()
	if err := s.arrange(ctx); err != nil {
		return c, err
	}
	if _, err := s.Through(ctx); err != nil {
		return c, err
	}
	running, err := s.pod(ctx)
	if err != nil {
		return c, err
	}
	url := fmt.Sprintf("http://%s:%d/metrics", running.address, port)
	fmt.Fprintf(w, "a sidecar is watched for %v\n", watch)
	if err := pause(ctx, settle); err != nil {
		return c, err
	}
	if err := c.watch(ctx, url, watch); err != nil {
		return c, err
	}
	return c, c.weigh()
}

// watch reads its metrics at the beginning, at the end, and between. The reading is a part of what it costs.
func (c *cost) watch(ctx context.Context, url string, during time.Duration) error {
	const looks = 12
	began := time.Now()
	first, err := look(ctx, url)
	if err != nil {
		return err
	}
	last := first
	for range looks {
		c.ResidentBytes = max(c.ResidentBytes, int64(last["process_resident_memory_bytes"]))
		if err := pause(ctx, during/looks); err != nil {
			return err
		}
		if last, err = look(ctx, url); err != nil {
			return err
		}
	}
	c.Seconds = time.Since(began).Seconds()
	c.ResidentBytes = max(c.ResidentBytes, int64(last["process_resident_memory_bytes"]))
	c.CoreShare = (last["process_cpu_seconds_total"] - first["process_cpu_seconds_total"]) / c.Seconds
	c.Pushes = last[taken] - first[taken]
	if c.ResidentBytes == 0 || c.Pushes == 0 {
		return fmt.Errorf("the sidecar was of no use: %+v", last)
	}
	return nil
}

const taken = `nemesis_sidecar_pushes_total{result="taken"}`

// look reads its samples by what stands before their values.
func look(ctx context.Context, url string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out := map[string]float64{}
	err := exposition.Get(ctx, http.DefaultClient, url, func(name, labels string, value float64) { out[name+labels] = value })
	return out, err
}

// weigh looks at what was built here, and brought to the cluster.
func (c *cost) weigh() error {
	image, err := os.Stat(archive)
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(programs)
	if err != nil {
		return err
	}
	c.ImageBytes = image.Size()
	for _, folder := range folders {
		if program, err := os.Stat(programs + folder.Name() + "/sidecar"); err == nil {
			c.ProgramBytes = max(c.ProgramBytes, program.Size())
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
