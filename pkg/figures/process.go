package figures

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"

	"github.com/nemesis-scaling/nemesis/pkg/build"
)

// Process is what the client library counts of every Go program, as far as it matters for a small one, by the same
// names. What the system does not tell is left out.
func Process() []Family {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(heap)
	all := []Family{
		Of(Gauge, "go_goroutines", "Number of goroutines that currently exist.", float64(runtime.NumGoroutine())),
		Of(Gauge, "go_memstats_alloc_bytes", "Number of bytes allocated in heap and currently in use.", float64(heap[0].Value.Uint64())),
		Of(Gauge, "go_memstats_sys_bytes", "Number of bytes obtained from system.", float64(heap[1].Value.Uint64())),
	}
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		seconds := func(t syscall.Timeval) float64 { return float64(t.Nano()) / 1e9 }
		all = append(all, Of(Counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", seconds(used.Utime)+seconds(used.Stime)))
	}
	if bytes, ok := resident(); ok {
		all = append(all, Of(Gauge, "process_resident_memory_bytes", "Resident memory size in bytes.", bytes))
	}
	return all
}

// resident is the memory that is there for this process.
func resident() (float64, bool) {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 { // the second is what we want
		return 0, false
	}
	pages, err := strconv.ParseFloat(string(fields[1]), 64)
	return pages * float64(os.Getpagesize()), err == nil
}

// Build says what runs.
func Build(service string) Family {
	return Family{
		Name: "nemesis_build_info", Help: "Always 1; the labels say what runs.", Kind: Gauge,
		Labels:  []string{"goversion", "revision", "service", "version"},
		Samples: []Sample{{Values: []string{build.Go(), build.Revision(), service, build.Version()}, Value: 1}},
	}
}
