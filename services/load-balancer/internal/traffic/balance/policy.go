// Package balance decides which pod takes a request: policies, the ejection of failing pods, and
// the warm-up of new ones. It is pure: chance and time are handed in, and every choice comes with
// its reason. Who the pods are, and whether they are usable at all, is dispatch's business.
package balance

// Pod is what a policy knows of a pod.
type Pod struct {
	Usable   bool // requests may be sent to it at all
	InFlight int  // requests on it now
	Limit    int  // requests that it may have at a time; 0 is no limit
}

// Free reports whether the pod can take one more request.
func (p Pod) Free() bool { return p.Usable && (p.Limit == 0 || p.InFlight < p.Limit) }

// Choice is the pod that was chosen, and why.
type Choice struct {
	Index  int
	Reason string
}

// Policy chooses among pods; false when none is free. The order of pods is stable between calls.
type Policy func(pods []Pod) (Choice, bool)

// Intn is a source of chance: a whole number from 0 to n-1.
type Intn func(n int) int

// The names of the policies, as in a CustomAutoscaler.
const (
	RoundRobinName       = "RoundRobin"
	LeastConnectionsName = "LeastConnections"
	RandomName           = "Random"
)

// ByName makes the policy of that name; RoundRobin, and false, for a name that is not known.
func ByName(name string, intn Intn) (Policy, bool) {
	switch name {
	case RoundRobinName:
		return RoundRobin(intn), true
	case LeastConnectionsName:
		return LeastConnections(intn), true
	case RandomName:
		return Random(intn), true
	}
	return RoundRobin(intn), false
}

// RoundRobin takes the free pods in turn. It starts anywhere, so that several load balancers do not
// march in step.
func RoundRobin(intn Intn) Policy {
	next := -1
	return func(pods []Pod) (Choice, bool) {
		if next < 0 && len(pods) > 0 {
			next = intn(len(pods))
		}
		for k := range pods {
			if i := (next + k) % len(pods); pods[i].Free() {
				next = i + 1
				return Choice{Index: i, Reason: "its turn"}, true
			}
		}
		return Choice{}, false
	}
}

// LeastConnections takes the free pod with the fewest requests in flight, any of them when several
// have as few.
func LeastConnections(intn Intn) Policy {
	return func(pods []Pod) (Choice, bool) {
		best, ties := -1, 0
		for i, p := range pods {
			switch {
			case !p.Free():
			case best < 0 || p.InFlight < pods[best].InFlight:
				best, ties = i, 1
			case p.InFlight == pods[best].InFlight:
				ties++
				if intn(ties) == 0 { // each of the tied ones with the same chance
					best = i
				}
			}
		}
		if best < 0 {
			return Choice{}, false
		}
		return Choice{Index: best, Reason: "fewest requests in flight"}, true
	}
}

// Random takes any free pod.
func Random(intn Intn) Policy {
	return func(pods []Pod) (Choice, bool) {
		chosen, free := -1, 0
		for i, p := range pods {
			if !p.Free() {
				continue
			}
			free++
			if intn(free) == 0 { // each with the same chance
				chosen = i
			}
		}
		if chosen < 0 {
			return Choice{}, false
		}
		return Choice{Index: chosen, Reason: "by chance"}, true
	}
}
