package gpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func busy(use, memory, power float64) Device {
	return Device{Known(use), Known(memory), Known(power)}
}

func TestAdd_IsTheMeanOfTheUseAndTheSumOfTheRest(t *testing.T) {
	lost := Device{Known(50), Known(100), Unknown("no sensor")}
	for name, c := range map[string]struct {
		devices []Device
		pod     Pod
		want    Total
	}{
		"one that idles is 0, which is known":         {[]Device{busy(0, 450, 60)}, Pod{}, busy(0, 450, 60)},
		"two":                                         {[]Device{busy(100, 1000, 300), busy(50, 3000, 100)}, Pod{}, busy(75, 4000, 400)},
		"as many as the pod has":                      {[]Device{busy(10, 1, 1), busy(30, 1, 1)}, Pod{GPUs: 2, Visible: "all"}, busy(20, 2, 2)},
		"all of a node with one":                      {[]Device{busy(10, 1, 1)}, Pod{Visible: "all"}, busy(10, 1, 1)},
		"a slice":                                     {[]Device{Slice(Known(512))}, Pod{GPUs: 1}, Device{Unknown(SliceUse), Known(512), Unknown(SlicePower)}},
		"a gauge that one of them has not":            {[]Device{busy(50, 100, 60), lost}, Pod{}, Device{Known(50), Known(200), Unknown("of GPU 2 of 2: no sensor")}},
		"a gauge that the only one has not":           {[]Device{lost}, Pod{}, Device{Known(50), Known(100), Unknown("no sensor")}},
		"none":                                        {nil, Pod{GPUs: 1}, missing("no GPU is visible to the sidecar")},
		"several of a node, the pod's not said":       {[]Device{busy(1, 1, 1), busy(2, 2, 2)}, Pod{Visible: "all"}, missing("2 GPUs of the node are visible to the sidecar, and how many are the pod's is not said (gpus)")},
		"several that the runtime was told by name":   {[]Device{busy(1, 1, 1), busy(3, 2, 2)}, Pod{Visible: "GPU-1,GPU-2"}, busy(2, 3, 3)},
		"more than the pod has":                       {[]Device{busy(1, 1, 1), busy(2, 2, 2)}, Pod{GPUs: 1}, missing("the pod has 1 GPU, and the sidecar sees 2: which of them it uses is not known")},
		"fewer than the pod has":                      {[]Device{busy(1, 1, 1)}, Pod{GPUs: 2}, missing("the pod has 2 GPUs, and the sidecar sees 1: which of them it uses is not known")},
		"a slice beside a card: no use of half of it": {[]Device{busy(90, 100, 60), Slice(Known(1))}, Pod{}, Device{Unknown("of GPU 2 of 2: " + SliceUse), Known(101), Unknown("of GPU 2 of 2: " + SlicePower)}},
	} {
		if got := Add(c.devices, c.pod); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Whatever the devices say: a gauge is known of the pod exactly when it is of each of them, the use is between the least and
// the most, nothing is 0 that is not known, and the order says nothing.
func TestAdd_KnowsNoMoreThanItsDevices(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	value := func(most float64) Value {
		if random.IntN(6) == 0 {
			return Unknown("why")
		}
		return Known(math.Floor(random.Float64() * most))
	}
	of := map[string]func(Device) Value{"use": func(d Device) Value { return d.Use }, "memory": func(d Device) Value { return d.Memory }, "power": func(d Device) Value { return d.Power }}
	for range 2000 {
		devices := make([]Device, 1+random.IntN(8))
		for i := range devices {
			devices[i] = Device{value(100), value(80_000), value(700)}
		}
		got := Add(devices, Pod{GPUs: random.IntN(2) * len(devices)})
		for name, v := range of {
			var amounts []float64
			for _, d := range devices {
				if v(d).Why == "" {
					amounts = append(amounts, v(d).Amount)
				}
			}
			total := v(got)
			switch {
			case (total.Why == "") != (len(amounts) == len(devices)):
				t.Fatalf("%s of %+v: %+v", name, devices, total)
			case total.Why != "" && (total.Amount != 0 || !strings.HasSuffix(total.Why, "why")):
				t.Fatalf("%s of %+v: %+v", name, devices, total)
			case total.Why == "" && name == "use" && (total.Amount < slices.Min(amounts)-1e-9 || total.Amount > slices.Max(amounts)+1e-9):
				t.Fatalf("%s of %+v: %+v", name, devices, total)
			case total.Why == "" && name != "use" && total.Amount < slices.Max(amounts):
				t.Fatalf("%s of %+v: %+v", name, devices, total)
			}
		}
		slices.Reverse(devices)
		if again := Add(devices, Pod{}); math.Abs(again.Use.Amount-got.Use.Amount) > 1e-9 && again.Use.Why == "" {
			t.Fatalf("%+v, in another order %+v", got, again)
		}
	}
}
