//go:build !nvml

package app

import "github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"

// gpus is what GPUs are read by: nothing. A program that can needs C; it is built with the tag nvml.
func gpus() gpu.Driver { return nil }
