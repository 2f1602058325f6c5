package claims

import "iter"

// point is where targets meet: a Deployment, or a prefix for one host, or a prefix for every host. A host
// by name goes before "every host", so these two do not meet.
type point struct {
	kind        pointKind
	first, then string
}

type pointKind uint8

const (
	deployment pointKind = iota // namespace, name
	oneHost                     // prefix, host
	everyHost                   // prefix
)

// addresses are the points at which a target meets others that want the same requests.
func (t Target) addresses() iter.Seq[point] {
	return func(yield func(point) bool) {
		if len(t.Hosts) == 0 {
			yield(point{everyHost, t.Prefix, ""})
			return
		}
		for _, h := range t.Hosts {
			if !yield(point{oneHost, t.Prefix, h}) {
				return
			}
		}
	}
}

// points are those at which an object meets others; a point may come twice.
func (o Object) points() iter.Seq[point] {
	return func(yield func(point) bool) {
		for _, t := range o.Targets {
			if !yield(point{deployment, o.Namespace, t.Deployment}) {
				return
			}
			for p := range t.addresses() {
				if !yield(p) {
					return
				}
			}
		}
	}
}
