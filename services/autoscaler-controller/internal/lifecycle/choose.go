package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Whom to take. Kubernetes ranks the pods of a ReplicaSet that has too many: first those without a
// node, then those whose containers do not run, then those that are not ready, whatever their
// pod-deletion-cost says; only among pods of one rank the cost counts. So the choice follows the
// ranks, and is free only within them: there the idle come first, then those with the least on them,
// where a stream weighs as much as ten requests that end by themselves in a moment; then the
// youngest, whose caches are the coldest.

// streamWeight is what a stream counts beyond the request that it is.
const streamWeight = 9

// rank is the place that Kubernetes gives a pod whatever its cost: lower goes first.
func rank(l fleet.PodLoad) int {
	switch {
	case !l.Scheduled:
		return 0
	case !l.Started:
		return 1
	case !l.Ready: // its own condition: an EndpointSlice does not count here
		return 2
	default:
		return 3
	}
}

func weight(l fleet.PodLoad) int64 { return int64(l.InFlight) + streamWeight*int64(l.Streaming) }

// candidates are the pods that may go: those that were scaled away go already.
func (m *Memory) candidates(s fleet.Snapshot) []fleet.PodLoad {
	list := make([]fleet.PodLoad, 0, len(s.Loads))
	for _, l := range s.Loads {
		if !m.leaves(l.Name) {
			list = append(list, l)
		}
	}
	return list
}

// leaves tells whether the last scaling took the pod.
func (m *Memory) leaves(pod string) bool { return m.step != nil && slices.Contains(m.step.going, pod) }

// choose orders the candidates and takes the first n. A pod that was chosen before stays chosen
// among its like, unless loose says that it may be left for a better one.
func choose(candidates []fleet.PodLoad, n int, before map[string]victim, loose func(fleet.PodLoad) bool) []fleet.PodLoad {
	ordered := slices.Clone(candidates)
	stays := func(l fleet.PodLoad) int {
		if _, chosen := before[l.Name]; chosen && !loose(l) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ordered, func(a, b fleet.PodLoad) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), cmp.Compare(stays(a), stays(b)), cmp.Compare(weight(a), weight(b)),
			b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Name, b.Name),
		)
	})
	return ordered[:min(n, len(ordered))]
}

// pickVictims keeps the choice, or makes another one.
func (m *Memory) pickVictims(p *Plan, candidates []fleet.PodLoad, n int) {
	if m.drain == nil || m.drain.all {
		m.drain = nil
		m.adopt(p)
	}
	if m.drain == nil {
		m.drain = &drain{since: p.at, chosen: p.at}
	}
	before := make(map[string]victim, len(m.drain.victims))
	for _, v := range m.drain.victims {
		before[v.Name] = v
	}
	// A stream may last for long while another pod has become idle meanwhile.
	may := p.at.Sub(m.drain.chosen) >= rechoose
	loose := func(l fleet.PodLoad) bool { return may && l.Streaming > 0 }
	m.drain.victims = m.drain.victims[:0:0]
	for _, l := range choose(candidates, n, before, loose) {
		v, chosen := before[l.Name]
		if !chosen {
			v = victim{since: p.at, why: why(l, candidates)}
			m.drain.chosen = p.at
		}
		v.PodLoad, v.streams = l, max(v.streams, l.Streaming)
		m.drain.victims = append(m.drain.victims, v)
	}
}

// why is what made a pod the one to go.
func why(l fleet.PodLoad, candidates []fleet.PodLoad) string {
	switch rank(l) {
	case 0:
		return "it has no node yet"
	case 1:
		return "it does not run yet"
	case 2:
		return "it is not ready: Kubernetes takes such a pod first"
	}
	if l.InFlight == 0 {
		return fmt.Sprintf("idle, 1 of %d pods", len(candidates))
	}
	return fmt.Sprintf("the least is on it of %d pods: %s", len(candidates), onIt(l))
}

// refresh takes over how the chosen pods stand now; those that have gone are chosen no more.
func (m *Memory) refresh(s fleet.Snapshot) {
	here := make(map[string]fleet.PodLoad, len(s.Loads))
	for _, l := range s.Loads {
		here[l.Name] = l
	}
	m.drain.victims = slices.DeleteFunc(m.drain.victims, func(v victim) bool { _, ok := here[v.Name]; return !ok })
	for i := range m.drain.victims {
		v := &m.drain.victims[i]
		v.PodLoad = here[v.Name]
		v.streams = max(v.streams, v.Streaming)
	}
}

// ready are the chosen pods that may go now: nothing is on them and nobody sends to them any more,
// or their time is over. One whose rank lets Kubernetes take it before another goes before that one,
// or not at all.
func (m *Memory) ready(p *Plan) []victim {
	var going []victim
	first := -1 // the lowest rank that has a pod which may not go yet
	for _, v := range m.drain.victims {
		if first >= 0 && rank(v.PodLoad) > first {
			break
		}
		if v.empty() || !p.at.Before(v.deadline(p.Snapshot.Spec)) {
			going = append(going, v)
		} else if first < 0 {
			first = rank(v.PodLoad)
		}
	}
	return going
}

// empty: nothing is on it, and nobody sends to it any more.
func (v victim) empty() bool {
	return len(v.Pending) == 0 && v.InFlight == 0 && (v.Told || v.Address == "")
}

// longest is how long a pod may go on at most.
func longest(spec scaling.Spec) time.Duration {
	if spec.DrainTimeout != nil {
		return *spec.DrainTimeout
	}
	return StreamTimeout
}

// deadline is until when it may go on with what it has.
func (v victim) deadline(spec scaling.Spec) time.Time {
	if spec.DrainTimeout == nil && v.Streaming == 0 {
		return v.since.Add(PlainTimeout)
	}
	return v.since.Add(longest(spec))
}
