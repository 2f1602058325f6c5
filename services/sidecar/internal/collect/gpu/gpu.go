// Package gpu makes gauges of a pod out of what a driver tells of each GPU, and keeps a driver that is absent, hangs or
// goes away from holding anything up. The driver itself stands in nvml, which only a program built with the tag nvml has.
package gpu

import "fmt"

// Value is one gauge: an amount, or why there is none.
type Value struct {
	Amount float64
	Why    string // "": the amount is known
}

// Known is an amount.
func Known(amount float64) Value { return Value{Amount: amount} }

// Unknown is none.
func Unknown(why string) Value { return Value{Why: why} }

// Device is one GPU, or one slice of a GPU that is divided (MIG).
type Device struct {
	Use    Value // percent
	Memory Value // MiB
	Power  Value // watts
}

// Sliced are the reasons for what NVML does not tell of a slice.
const (
	SliceUse   = "MIG is on, and NVML tells no use of a slice"
	SlicePower = "MIG is on, and NVML tells the power of the whole card alone"
)

// Slice is a slice of a divided GPU: of its own it has memory, and nothing else that NVML tells.
func Slice(memory Value) Device {
	return Device{Use: Unknown(SliceUse), Memory: memory, Power: Unknown(SlicePower)}
}

// Pod is what is known beforehand of the pod's GPUs.
type Pod struct {
	GPUs    int    // that it asks for; 0: nobody said
	Visible string // NVIDIA_VISIBLE_DEVICES of this container
}

// Total is what the pod uses of its GPUs.
type Total = Device

// Add makes the pod's total of the devices that are visible to the sidecar: the mean of the use, the sum of memory and
// power. All or nothing: what is not known of one device is not known of the pod, and devices that may be other pods' are
// nobody's.
func Add(devices []Device, p Pod) Total {
	if why := strangers(len(devices), p); why != "" {
		return missing(why)
	}
	total := Total{Use: sum(devices, func(d Device) Value { return d.Use }), Memory: sum(devices, func(d Device) Value { return d.Memory }), Power: sum(devices, func(d Device) Value { return d.Power })}
	total.Use.Amount /= float64(len(devices))
	return total
}

// strangers is why devices that are visible cannot be taken for the pod's; "" when they are.
func strangers(visible int, p Pod) string {
	switch {
	case visible == 0:
		return "no GPU is visible to the sidecar"
	case p.GPUs == 0 && p.Visible == "all" && visible > 1:
		return fmt.Sprintf("%d GPUs of the node are visible to the sidecar, and how many are the pod's is not said (gpus)", visible)
	case p.GPUs > 0 && visible != p.GPUs:
		return fmt.Sprintf("the pod has %s, and the sidecar sees %d: which of them it uses is not known", plural(p.GPUs), visible)
	}
	return ""
}

func plural(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}

func missing(why string) Total {
	return Total{Use: Unknown(why), Memory: Unknown(why), Power: Unknown(why)}
}

func sum(devices []Device, of func(Device) Value) Value {
	var all Value
	for i, d := range devices {
		v := of(d)
		if v.Why != "" {
			if len(devices) > 1 {
				return Unknown(fmt.Sprintf("of GPU %d of %d: %s", i+1, len(devices), v.Why))
			}
			return v
		}
		all.Amount += v.Amount
	}
	return all
}
