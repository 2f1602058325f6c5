//go:build nvml

package nvml

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxh100"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/gpus"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/collect/gpu"
)

// Written with go-nvml's mock cards: what they answer stands here, for their own answers are about other things.

func works(d *server.Device, percent, mebibytes, milliwatts uint32) {
	d.MemoryInfo.Used = uint64(mebibytes) << 20
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: percent}, nvml.SUCCESS }
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return milliwatts, nvml.SUCCESS }
}

func card(t *testing.T, s *server.Server, i int) *server.Device {
	t.Helper()
	d, ok := s.Devices[i].(*server.Device)
	if !ok {
		t.Fatalf("%T is no mock card", s.Devices[i])
	}
	return d
}

// driverOf is a driver that finds this library at the second place.
func driverOf(s nvml.Interface) *Driver {
	absent := &mock.Interface{InitFunc: func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }}
	return &Driver{
		find:  func() []string { return []string{"nowhere", "here"} },
		open:  func(path string) nvml.Interface { return map[string]nvml.Interface{"nowhere": absent, "here": s}[path] },
		known: map[string]nvml.Interface{},
	}
}

func read(t *testing.T, d *Driver) []gpu.Device {
	t.Helper()
	got, err := d.Devices()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDevices_OfAWholeMachine(t *testing.T) {
	for name, s := range map[string]*server.Server{"A100": dgxa100.New(), "H100": dgxh100.New()} {
		var want []gpu.Device
		for i := range s.Devices {
			works(card(t, s, i), uint32(10*i), uint32(1000+i), uint32(60_500+1000*i))
			want = append(want, gpu.Device{Use: gpu.Known(float64(10 * i)), Memory: gpu.Known(float64(1000 + i)), Power: gpu.Known(60.5 + float64(i))})
		}
		d := driverOf(s)
		for range 2 { // the second time it is set up already
			if got := read(t, d); !slices.Equal(got, want) {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		if total := gpu.Add(want, gpu.Pod{GPUs: 8}); total.Use != gpu.Known(35) || total.Memory != gpu.Known(8028) || total.Power != gpu.Known(512) {
			t.Errorf("%s: %+v", name, total)
		}
	}
}

func TestDevices_AreThoseOfThisContainer(t *testing.T) {
	s := dgxa100.New()
	for i := range s.Devices {
		works(card(t, s, i), uint32(i), 0, 0)
	}
	s.DeviceGetHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i != 3 {
			return nil, nvml.ERROR_NO_PERMISSION // as for those of other containers
		}
		return s.Devices[i], nvml.SUCCESS
	}
	if got := read(t, driverOf(s)); !slices.Equal(got, []gpu.Device{{Use: gpu.Known(3), Memory: gpu.Known(0), Power: gpu.Known(0)}}) {
		t.Errorf("%+v", got)
	}
}

// A card of another kind is told of as far as it goes: a gauge that it has not is missing, and never 0.
func TestDevices_SayWhatACardDoesNotTell(t *testing.T) {
	s := dgxa100.NewWithGPUs(gpus.A100_SXM4_40GB)
	d := card(t, s, 0)
	works(d, 50, 10, 0)
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	d.GetMigModeFunc = func() (int, int, nvml.Return) { return 0, 0, nvml.ERROR_NOT_SUPPORTED }
	got := read(t, driverOf(s))
	if len(got) != 1 || got[0].Use != gpu.Known(50) || got[0].Memory != gpu.Known(10) || !strings.Contains(got[0].Power.Why, "does not tell") {
		t.Errorf("%+v", got)
	}
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_UNKNOWN }
	d.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_NOT_SUPPORTED }
	if got := read(t, driverOf(s)); got[0].Use.Why == "" || got[0].Memory.Why == "" || got[0].Power.Why == "" {
		t.Errorf("%+v", got)
	}
}

func TestDevices_OfADividedCardAreItsSlices(t *testing.T) {
	s := dgxa100.NewWithGPUs(gpus.Multiple(2, gpus.A100_SXM4_40GB)...)
	works(card(t, s, 0), 20, 100, 60_000)
	divided := card(t, s, 1)
	works(divided, 0, 39_000, 250_000) // what the card says of all its slices together is nobody's
	if ret, _ := divided.SetMigMode(nvml.DEVICE_MIG_ENABLE); ret != nvml.SUCCESS {
		t.Fatal(ret)
	}
	divided.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 7, nvml.SUCCESS }
	divided.GetMigDeviceHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		switch i {
		case 1, 4:
			return &mock.Device{GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) { return nvml.Memory{Used: uint64(i) << 30}, nvml.SUCCESS }}, nvml.SUCCESS
		case 2:
			return nil, nvml.ERROR_NO_PERMISSION
		default:
			return nil, nvml.ERROR_NOT_FOUND
		}
	}
	want := []gpu.Device{
		{Use: gpu.Known(20), Memory: gpu.Known(100), Power: gpu.Known(60)}, gpu.Slice(gpu.Known(1024)), gpu.Slice(gpu.Known(4096)),
	}
	if got := read(t, driverOf(s)); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if calls := len(divided.GetUtilizationRatesCalls()) + len(divided.GetPowerUsageCalls()); calls != 0 {
		t.Errorf("the divided card itself was asked %d times", calls)
	}
	divided.GetMaxMigDeviceCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	if got := read(t, driverOf(s)); len(got) != 2 || got[1].Memory.Why == "" || got[1].Use.Why != gpu.SliceUse {
		t.Errorf("%+v", got)
	}
}

func TestDevices_ADriverBeforeSlicesIsNotAskedForThem(t *testing.T) {
	s := dgxa100.NewWithGPUs(gpus.A100_SXM4_40GB)
	d := card(t, s, 0)
	works(d, 1, 1, 1000)
	s.LookupSymbolFunc = func(string) error { return errors.New("no such symbol") }
	if got := read(t, driverOf(s)); len(got) != 1 || len(d.GetMigModeCalls()) != 0 {
		t.Errorf("%+v, asked %d times: a function that is not there ends the program", got, len(d.GetMigModeCalls()))
	}
}

func TestDevices_ADriverThatGoesAwayIsSetUpAnew(t *testing.T) {
	s := dgxa100.NewWithGPUs(gpus.A100_SXM4_40GB)
	works(card(t, s, 0), 5, 5, 5000)
	handle, count := s.DeviceGetHandleByIndexFunc, s.DeviceGetCountFunc
	d := driverOf(s)
	read(t, d)
	s.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
	if _, err := d.Devices(); err == nil || !strings.Contains(err.Error(), "GPU 0") {
		t.Errorf("error is %v", err)
	}
	s.DeviceGetHandleByIndexFunc = handle
	s.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNINITIALIZED }
	if _, err := d.Devices(); err == nil || !strings.Contains(err.Error(), "list") {
		t.Errorf("error is %v", err)
	}
	s.DeviceGetCountFunc = count
	s.InitFunc = func() nvml.Return { return nvml.ERROR_DRIVER_NOT_LOADED }
	if _, err := d.Devices(); err == nil || !strings.Contains(err.Error(), "cannot be used") {
		t.Errorf("error is %v", err)
	}
	s.InitFunc = func() nvml.Return { return nvml.SUCCESS }
	read(t, d)
	if begun, ended := len(s.InitCalls()), len(s.ShutdownCalls()); begun != 4 || ended != 2 {
		t.Errorf("set up %d times, and ended %d times", begun, ended)
	}
}

// A library that is loaded, called, set up anew and called again, as the real one is: written in C, since it is found by its
// functions' names.
func TestDevices_OfALibraryInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), soname)
	if said, err := exec.Command("gcc", "-shared", "-fPIC", "-o", path, "testdata/nvml.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	d := New()
	d.find = func() []string { return []string{path + ".not-there", path} }
	for range 3 {
		got := read(t, d)
		if len(got) != 2 || got[0].Use != gpu.Known(73) || got[0].Memory != gpu.Known(3072) || !strings.Contains(got[0].Power.Why, "Not Supported") || got[1] != gpu.Slice(gpu.Known(1024)) {
			t.Errorf("%+v", got)
		}
		if ret := d.lib.Shutdown(); ret != nvml.SUCCESS {
			t.Error(ret)
		}
		if _, err := d.Devices(); err == nil || !strings.Contains(err.Error(), "UNINITIALIZED") {
			t.Errorf("after its end: error %v", err)
		}
	}
}

// The real library, or rather its absence: no machine that tests run on has one.
func TestDevices_WithoutALibraryThereIsNone(t *testing.T) {
	d := New()
	if found := d.find(); len(found) > 1 {
		t.Skipf("this machine has one: %v", found)
	}
	for range 2 {
		if got, err := d.Devices(); !errors.Is(err, errAbsent) {
			t.Errorf("%+v, error %v", got, err)
		}
	}
}
