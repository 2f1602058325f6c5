package collect

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/page"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// steady uses so much CPU and memory.
type steady struct {
	cores float64
	began time.Time
	err   error
}

func (s *steady) Read() (time.Duration, uint64, error) {
	return time.Duration(s.cores * float64(time.Since(s.began))), 3 << 20, s.err
}

func value(t *testing.T, m pod.Measurement, k pod.Kind) float64 {
	t.Helper()
	v, ok := m.Value(k)
	if !ok {
		t.Errorf("%s is missing: %q", k, m.Missing())
	}
	return v
}

func missing(t *testing.T, m pod.Measurement, k pod.Kind, why string) {
	t.Helper()
	if v, ok := m.Value(k); ok {
		t.Errorf("%s is %v, want it missing", k, v)
	}
	for _, reason := range m.Missing() {
		if strings.Contains(reason, string(k)) && strings.Contains(reason, why) {
			return
		}
	}
	t.Errorf("%s is not missing because %q: %q", k, why, m.Missing())
}

func TestCollect_CPUIsTheMeanSinceTheLastMeasurement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &steady{cores: 0.25, began: time.Now()}
		c := &Collector{usage: u}
		m := c.Collect(t.Context())
		missing(t, m, pod.CPU, "two readings")
		if got := value(t, m, pod.Memory); got != 3 {
			t.Errorf("memory is %v MiB", got)
		}
		time.Sleep(time.Second)
		if got := value(t, c.Collect(t.Context()), pod.CPU); got != 250 {
			t.Errorf("CPU is %v millicores", got)
		}
		u.cores, u.began = 2, time.Now().Add(-125*time.Millisecond) // 250 ms were used so far
		time.Sleep(5 * time.Second)
		if got := value(t, c.Collect(t.Context()), pod.CPU); got != 2000 {
			t.Errorf("CPU is %v millicores", got)
		}
	})
}

func TestCollect_CommandsInARowDoNotMeasureOverAnInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Collector{usage: &steady{cores: 1, began: time.Now()}}
		c.Collect(t.Context())
		var base time.Duration
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			m := c.Collect(t.Context())
			if base += 20 * time.Millisecond; base < shortest {
				missing(t, m, pod.CPU, "two readings")
			} else if got := value(t, m, pod.CPU); got < 999 || got > 1001 {
				t.Errorf("CPU is %v millicores", got)
			}
			if c.cpu.base != nil && time.Since(c.cpu.base.at) > 2*shortest {
				t.Errorf("measured over %v", time.Since(c.cpu.base.at))
			}
		}
	})
}

func TestCollect_WhatCannotBeReadIsNamedWithItsReason(t *testing.T) {
	c := &Collector{usage: &steady{err: errors.New("no such device")}, app: &application{page: page.New("http://127.0.0.1:1/metrics")}, disk: &disk{paths: []string{"/nowhere"}}}
	m := c.Collect(t.Context())
	if !m.Empty() {
		t.Errorf("something was measured: %+v", m)
	}
	missing(t, m, pod.CPU, "no such device")
	missing(t, m, pod.Memory, "no such device")
	missing(t, m, pod.Disk, "/nowhere")
	missing(t, m, pod.ResponseTime, "cannot be read")
}

func TestNew_TakesTheControlGroupWhenItIsVisibleElseTheProcesses(t *testing.T) {
	const uid = "0a1b2c3d-1111-2222-3333-444455556666"
	group := func(file, content string) (string, *fstest.MapFile) {
		return "kubepods/pod" + uid + "/" + file, &fstest.MapFile{Data: []byte(content)}
	}
	cgroups := fstest.MapFS{"cgroup.controllers": {}}
	for file, content := range map[string]string{"cpu.stat": "usage_usec 1\n", "memory.current": "2097152\n", "memory.stat": "inactive_file 0\n"} {
		path, f := group(file, content)
		cgroups[path] = f
	}
	proc := fstest.MapFS{
		"1/comm": {Data: []byte("pause\n")}, "1/stat": {Data: []byte("1 (pause) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0")},
		"1/status": {Data: []byte("RssAnon:\t1024 kB\n")},
	}
	for name, c := range map[string]struct {
		source string
		cgroup bool
		shared bool
		memory float64
		why    string
	}{
		"both":                       {Auto, true, true, 2, ""},
		"processes only":             {Auto, false, true, 1, ""},
		"processes wanted":           {Processes, true, true, 1, ""},
		"control group wanted, none": {PodCgroup, false, true, 0, "control group"},
		"processes wanted, unshared": {Processes, true, false, 0, "hostPID"},
		"neither":                    {Auto, false, false, 0, "processes:"},
	} {
		o := Options{Source: c.source, Cgroups: fstest.MapFS{}, Proc: fstest.MapFS{"1/comm": {Data: []byte("systemd\n")}}, PodUID: uid, Log: slog.New(slog.DiscardHandler)}
		if c.cgroup {
			o.Cgroups = cgroups
		}
		if c.shared {
			o.Proc = proc
		}
		m := New(o).Collect(t.Context())
		if c.why != "" {
			missing(t, m, pod.Memory, c.why)
		} else if got := value(t, m, pod.Memory); got != c.memory {
			t.Errorf("%s: memory is %v MiB, want %v", name, got, c.memory)
		}
	}
}

// cards are what a driver tells.
type cards []gpu.Device

func (c cards) Devices() ([]gpu.Device, error) { return c, nil }

func TestCollect_GPUsAreMeasuredWhereTheProgramCan(t *testing.T) {
	o := Options{Source: Processes, Proc: fstest.MapFS{}, Log: slog.New(slog.DiscardHandler)}
	m := New(o).Collect(t.Context())
	for _, k := range []pod.Kind{pod.GPU, pod.GPUMemory, pod.GPUPower} {
		missing(t, m, k, "sidecar-nvml")
	}
	card := gpu.Device{Use: gpu.Known(0), Memory: gpu.Known(450), Power: gpu.Known(61.5)}
	o.GPUs, o.PodGPUs = cards{card, card}, gpu.Pod{GPUs: 2}
	m = New(o).Collect(t.Context())
	for k, want := range map[pod.Kind]float64{pod.GPU: 0, pod.GPUMemory: 900, pod.GPUPower: 123} {
		if got := value(t, m, k); got != want {
			t.Errorf("%s is %v, want %v", k, got, want)
		}
	}
	o.PodGPUs.GPUs = 1
	missing(t, New(o).Collect(t.Context()), pod.GPUMemory, "the sidecar sees 2")
	o.GPUs = cards{gpu.Slice(gpu.Known(512))}
	m = New(o).Collect(t.Context())
	missing(t, m, pod.GPU, "MIG is on")
	missing(t, m, pod.GPUPower, "MIG is on")
	if got := value(t, m, pod.GPUMemory); got != 512 {
		t.Errorf("memory is %v MiB", got)
	}
}
