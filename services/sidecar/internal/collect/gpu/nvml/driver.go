//go:build nvml

package nvml

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
)

// soname is the library's name, which the dynamic loader looks up where the container runtime has told it of the library.
const soname = "libnvidia-ml.so.1"

// folders are where container runtimes put the library, beside the loader's own: an image without a distribution gets it in
// /usr/lib64, with CDI it comes where the node has it, and some managed clusters mount it at a place of their own.
var folders = []string{"/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/nvidia/lib64"}

// Driver is NVML. It implements gpu.Driver.
type Driver struct {
	find func() []string                  // the names and paths under which the library may be, best first
	open func(path string) nvml.Interface // loads nothing yet

	known map[string]nvml.Interface // by path: a library that was loaded once is not loaded again
	lib   nvml.Interface            // the one that works; nil: none yet
}

var _ gpu.Driver = (*Driver)(nil)

// New is the driver of this container, if it has one: that is seen when it is asked.
func New() *Driver {
	return &Driver{find: paths, open: func(path string) nvml.Interface { return nvml.New(nvml.WithLibraryPath(path)) }, known: map[string]nvml.Interface{}}
}

// paths are the library's name, and the files of that name. A runtime that makes no link of the name leaves the one with
// the driver's version.
func paths() []string {
	all := []string{soname}
	for _, folder := range folders {
		for _, pattern := range []string{soname, soname[:len(soname)-1] + "*"} {
			found, _ := filepath.Glob(filepath.Join(folder, pattern)) // the patterns are well formed
			all = append(all, found...)
		}
	}
	slices.Sort(all[1:])
	return slices.Compact(all)
}

// Devices are those that this container may speak to. After an error the library is set up anew the next time.
func (d *Driver) Devices() ([]gpu.Device, error) {
	if err := d.start(); err != nil {
		return nil, err
	}
	devices, err := d.read()
	if err != nil {
		_ = d.lib.Shutdown() // it may be gone already
		d.lib = nil
	}
	return devices, err
}

var errAbsent = errors.New("there is no NVIDIA driver in this container: " + soname + " is not to be found")

// start sets the first library up that there is.
func (d *Driver) start() error {
	if d.lib != nil {
		return nil
	}
	for _, path := range d.find() {
		lib := d.known[path]
		if lib == nil {
			lib = d.open(path)
		}
		switch ret := lib.Init(); ret {
		case nvml.SUCCESS:
			d.known[path], d.lib = lib, lib
			return nil
		case nvml.ERROR_LIBRARY_NOT_FOUND: // it may be at the next place
		default:
			d.known[path] = lib
			return fault("the NVIDIA driver cannot be used", ret)
		}
	}
	return errAbsent
}

func fault(what string, ret nvml.Return) error { return fmt.Errorf("%s: %s (NVML)", what, ret.Error()) }

// reason is why a gauge is missing.
func reason(ret nvml.Return) string { return fault("the NVIDIA driver does not tell", ret).Error() }

func (d *Driver) read() (all []gpu.Device, err error) {
	count, ret := d.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fault("the NVIDIA driver does not list its GPUs", ret)
	}
	sliced := d.lib.Extensions().LookupSymbol("nvmlDeviceGetMigMode") == nil // drivers before 450 know no slices
	for i := range count {
		device, ret := d.lib.DeviceGetHandleByIndex(i)
		switch {
		case ret == nvml.ERROR_NO_PERMISSION: // it is counted, and not given to this container
			continue
		case ret != nvml.SUCCESS:
			return nil, fault(fmt.Sprintf("the NVIDIA driver does not let GPU %d be read", i), ret)
		case sliced && divided(device):
			all = append(all, slicesOf(device)...)
		default:
			all = append(all, whole(device))
		}
	}
	return all, nil
}

func divided(device nvml.Device) bool {
	mode, _, ret := device.GetMigMode()
	return ret == nvml.SUCCESS && mode == nvml.DEVICE_MIG_ENABLE
}

func whole(device nvml.Device) gpu.Device {
	out := gpu.Device{Memory: memory(device)}
	if rates, ret := device.GetUtilizationRates(); ret != nvml.SUCCESS {
		out.Use = gpu.Unknown(reason(ret))
	} else {
		out.Use = gpu.Known(float64(rates.Gpu))
	}
	if milliwatts, ret := device.GetPowerUsage(); ret != nvml.SUCCESS {
		out.Power = gpu.Unknown(reason(ret))
	} else {
		out.Power = gpu.Known(float64(milliwatts) / 1000)
	}
	return out
}

// slicesOf are the slices of a divided card that this container has; of others there is no handle to be had.
func slicesOf(card nvml.Device) (all []gpu.Device) {
	most, ret := card.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return []gpu.Device{gpu.Slice(gpu.Unknown(reason(ret)))}
	}
	for i := range most {
		slice, ret := card.GetMigDeviceHandleByIndex(i)
		switch ret {
		case nvml.SUCCESS:
			all = append(all, gpu.Slice(memory(slice)))
		case nvml.ERROR_NOT_FOUND, nvml.ERROR_NO_PERMISSION: // none there, or not this container's
		default:
			all = append(all, gpu.Slice(gpu.Unknown(reason(ret))))
		}
	}
	return all
}

const mebibyte = 1 << 20

func memory(device nvml.Device) gpu.Value {
	info, ret := device.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return gpu.Unknown(reason(ret))
	}
	return gpu.Known(float64(info.Used) / mebibyte)
}
