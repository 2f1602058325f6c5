// Package collect measures one pod from inside: CPU and memory (the pod's, never the node's), the use
// of its writable folders, its GPUs, and what the application's own Prometheus page says. How each is read
// stands in cgroup, process, disk.go, gpu and page; here readings become a measurement, growth becomes a
// mean, and what could not be read is named with its reason.
package collect

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/cgroup"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/page"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/process"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// Where CPU and memory may be read.
const (
	Auto      = "auto" // the first of these that works
	PodCgroup = "pod-cgroup"
	Processes = "processes"
)

// Sources are the choices.
var Sources = []string{Auto, PodCgroup, Processes}

// Options say where to look.
type Options struct {
	Source    string // of CPU and memory
	Cgroups   fs.FS  // a /sys/fs/cgroup
	Proc      fs.FS  // a /proc
	PodUID    string // "" is not known
	DiskPaths []string
	PageURLs  []string   // of the application's page; none is none
	GPUs      gpu.Driver // nil: this program reads none
	PodGPUs   gpu.Pod
	Log       *slog.Logger
}

// usage is where CPU time, which never falls, and memory are read.
type usage interface {
	Read() (cpu time.Duration, bytes uint64, err error)
}

// Collector measures the pod; one goroutine at a time uses it.
type Collector struct {
	usage usage
	why   string // there is no usage
	cpu   history[time.Duration]
	disk  *disk
	app   *application // nil is none with a page
	gpus  *gpu.Meter   // nil: this program reads none
}

// New looks where the pod can be measured. That it cannot is no error: the measurements say so.
func New(o Options) *Collector {
	c := &Collector{}
	var source string
	c.usage, source, c.why = choose(o)
	if c.usage == nil {
		o.Log.Warn("CPU and memory are not measured", "why", c.why)
	} else {
		o.Log.Info("CPU and memory are read", "from", source)
	}
	if len(o.DiskPaths) > 0 {
		c.disk = &disk{paths: o.DiskPaths}
	}
	if len(o.PageURLs) > 0 {
		c.app = &application{page: page.New(o.PageURLs...), log: o.Log}
	}
	if o.GPUs != nil {
		c.gpus = gpu.NewMeter(o.GPUs, o.PodGPUs, o.Log)
	}
	return c
}

// choose takes the pod's control group where it is visible, since the kernel itself has added up
// there; else the processes.
func choose(o Options) (u usage, source, why string) {
	if o.Source != Processes {
		group, err := cgroup.Open(o.Cgroups, o.PodUID)
		if err == nil {
			return group, "control group " + group.Path(), ""
		}
		why = "control group: " + err.Error()
	}
	if o.Source != PodCgroup {
		processes, err := process.Open(o.Proc, os.Getpid())
		if err == nil {
			return processes, "the pod's processes", ""
		}
		if why != "" {
			why += "; "
		}
		why += "processes: " + err.Error()
	}
	return nil, "", why
}

// Collect measures now.
func (c *Collector) Collect(ctx context.Context) pod.Measurement {
	m := pod.New(time.Now())
	c.measureUsage(m)
	c.measureDisk(m)
	c.measureGPUs(m)
	c.measureApplication(ctx, &m)
	return m
}

const mebibyte = 1 << 20

// firstReading is why growth is not known yet.
const firstReading = "it takes two readings, and this was the first"

func (c *Collector) measureUsage(m pod.Measurement) {
	if c.usage == nil {
		m.Miss(pod.CPU, c.why)
		m.Miss(pod.Memory, c.why)
		return
	}
	used, bytes, err := c.usage.Read()
	if err != nil {
		m.Miss(pod.CPU, err.Error())
		m.Miss(pod.Memory, err.Error())
		return
	}
	m.Set(pod.Memory, float64(bytes)/mebibyte)
	before, elapsed, ok := c.cpu.since(time.Now(), used)
	if !ok {
		m.Miss(pod.CPU, firstReading)
		return
	}
	m.Set(pod.CPU, 1000*max(used-before, 0).Seconds()/elapsed.Seconds())
}

func (c *Collector) measureDisk(m pod.Measurement) {
	if c.disk == nil {
		m.Miss(pod.Disk, "no folders are named (disk-paths)")
		return
	}
	bytes, err := c.disk.read(time.Now)
	if err != nil {
		m.Miss(pod.Disk, err.Error())
		return
	}
	m.Set(pod.Disk, float64(bytes)/mebibyte)
}

func (c *Collector) measureGPUs(m pod.Measurement) {
	if c.gpus == nil {
		for _, k := range []pod.Kind{pod.GPU, pod.GPUMemory, pod.GPUPower} {
			m.Miss(k, "this image reads no GPUs; sidecar-nvml does")
		}
		return
	}
	total := c.gpus.Measure()
	take(m, pod.GPU, total.Use)
	take(m, pod.GPUMemory, total.Memory)
	take(m, pod.GPUPower, total.Power)
}

func take(m pod.Measurement, k pod.Kind, v gpu.Value) {
	if v.Why != "" {
		m.Miss(k, v.Why)
		return
	}
	m.Set(k, v.Amount)
}
