// Package wire translates a measurement into the contract's words; two adapters speak them, the one
// that sends and the one that answers.
package wire

import (
	"github.com/nemesis-scaling/nemesis/gen/lean/common"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// Measurements are the values of a measurement, without those that are missing.
func Measurements(m pod.Measurement) common.Measurements {
	value := func(k pod.Kind) *float64 {
		if v, ok := m.Value(k); ok {
			return &v
		}
		return nil
	}
	return common.Measurements{
		CpuUsage:         value(pod.CPU),
		MemoryUsage:      value(pod.Memory),
		DiskUsage:        value(pod.Disk),
		ResponseTime:     value(pod.ResponseTime),
		RequestRate:      value(pod.RequestRate),
		InFlight:         value(pod.InFlight),
		Queued:           value(pod.Queued),
		CacheUsage:       value(pod.CacheUsage),
		TimeToFirstToken: value(pod.TimeToFirstToken),
		GpuUsage:         value(pod.GPU),
		GpuMemoryUsage:   value(pod.GPUMemory),
		GpuPower:         value(pod.GPUPower),
	}
}
