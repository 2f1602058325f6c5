// Package nvml reads GPUs through NVIDIA's own library (NVML), which the container runtime brings with the driver. It needs
// C, and so is part of a program only with the build tag nvml: the image nemesis/sidecar-nvml. Without the tag this package
// is empty.
package nvml
