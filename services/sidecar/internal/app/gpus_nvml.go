//go:build nvml

package app

import (
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu/nvml"
)

// gpus is what GPUs are read by.
func gpus() gpu.Driver { return nvml.New() }
