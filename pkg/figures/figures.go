// Package figures is what a service counts, as plain values: families of Prometheus' data model that are read when
// somebody asks. Package telemetry shows them beside those that the client library keeps; a program that is to be
// small, and counts little, writes them itself (Write) and needs no client library, which is a third of such a program.
package figures

// Kind is how the values of a family are meant.
type Kind string

// Kinds.
const (
	Gauge   Kind = "gauge"
	Counter Kind = "counter"
)

// Family is one metric with all its series.
type Family struct {
	Name, Help string
	Kind       Kind
	Labels     []string // the names of the labels; every sample has a value for each
	Samples    []Sample
}

// Sample is one series now.
type Sample struct {
	Values []string // of the labels, in their order
	Value  float64
}

// Source reads families when it is asked.
type Source func() []Family

// Of is a family without labels.
func Of(kind Kind, name, help string, value float64) Family {
	return Family{Name: name, Help: help, Kind: kind, Samples: []Sample{{Value: value}}}
}

// By is a family with one label; without samples it is known by name alone.
func By(kind Kind, name, help, label string, samples ...Sample) Family {
	return Family{Name: name, Help: help, Kind: kind, Labels: []string{label}, Samples: samples}
}

// At is the sample of one label's value.
func At(label string, value float64) Sample { return Sample{Values: []string{label}, Value: value} }

// Yes is 1 for true, and 0 for false.
func Yes(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
