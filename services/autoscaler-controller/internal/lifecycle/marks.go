package lifecycle

import (
	"math"
	"slices"
	"strconv"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Marks stand on the pods that were chosen: a pod-deletion-cost below that of every other pod, so
// that Kubernetes takes these, whoever scales; and since when, so that the next leader takes up the
// way down where this one left it.

// reconcileMarks forgets what was written once the cache says the same, and of pods that have gone.
func (m *Memory) reconcileMarks(s fleet.Snapshot) {
	here := make(map[string]fleet.PodLoad, len(s.Loads))
	for _, l := range s.Loads {
		here[l.Name] = l
	}
	for pod, w := range m.marks {
		l, ok := here[pod]
		agrees := l.Mark.Since.IsZero() == w.Mark.Since.IsZero() && (w.Mark.Since.IsZero() || l.Cost == w.Cost)
		if !ok || agrees {
			delete(m.marks, pod)
		}
	}
}

// Unmark is what takes the marks off pods on which no way down goes on any more.
func Unmark(pods []fleet.PodView) []fleet.Marking {
	var list []fleet.Marking
	for _, p := range pods {
		if !p.Mark.Since.IsZero() && !p.Terminating {
			list = append(list, fleet.Marking{Pod: p.Name, Mark: fleet.Mark{Before: p.Mark.Before}, Cost: before(p.Mark)})
		}
	}
	return list
}

// marked is how a pod is marked now, as far as is known.
func (m *Memory) marked(l fleet.PodLoad) (cost int32, mark fleet.Mark) {
	w, written := m.marks[l.Name]
	switch {
	case !written:
		return l.Cost, l.Mark
	case w.Mark.Since.IsZero():
		return w.Cost, fleet.Mark{}
	default:
		return w.Cost, w.Mark
	}
}

// mark plans the marks that the chosen pods lack, and takes back those of others. Pods that go with
// this very scaling are to go before chosen ones that wait; see lower.
func (m *Memory) mark(p *Plan, chosen []victim) {
	floor := m.floor(p.Snapshot, chosen)
	for _, l := range p.Snapshot.Loads {
		cost, mark := m.marked(l)
		i := slices.IndexFunc(chosen, func(v victim) bool { return v.Name == l.Name })
		switch {
		case i < 0 && mark.Since.IsZero() || m.leaves(l.Name):
		case i < 0:
			p.Marks = append(p.Marks, fleet.Marking{Pod: l.Name, Mark: fleet.Mark{Before: mark.Before}, Cost: before(mark)})
		case mark.Since.IsZero() || cost >= floor:
			if mark.Since.IsZero() {
				mark = newMark(chosen[i], cost)
			}
			p.Marks = append(p.Marks, fleet.Marking{Pod: l.Name, Mark: mark, Cost: below(floor)})
		}
	}
}

// lower marks the pods that go now below the chosen ones that still have something on them.
func (m *Memory) lower(p *Plan) {
	rest := int32(math.MaxInt32)
	costs := map[string]int32{}
	for _, v := range m.drain.victims {
		cost, _ := m.marked(v.PodLoad)
		for _, w := range p.Marks {
			if w.Pod == v.Name {
				cost = w.Cost
			}
		}
		costs[v.Name] = cost
		if !slices.Contains(p.going, v.Name) {
			rest = min(rest, cost)
		}
	}
	for _, v := range m.drain.victims {
		if !slices.Contains(p.going, v.Name) || costs[v.Name] < rest {
			continue
		}
		p.Marks = slices.DeleteFunc(p.Marks, func(w fleet.Marking) bool { return w.Pod == v.Name })
		_, mark := m.marked(v.PodLoad)
		if mark.Since.IsZero() {
			mark = newMark(v, costs[v.Name])
		}
		p.Marks = append(p.Marks, fleet.Marking{Pod: v.Name, Mark: mark, Cost: below(rest)})
	}
}

// floor is below which the cost of a chosen pod has to be: what every other pod costs, and nothing.
func (m *Memory) floor(s fleet.Snapshot, chosen []victim) int32 {
	var floor int32
	for _, l := range s.Loads {
		cost, mark := m.marked(l)
		if !mark.Since.IsZero() { // chosen once, and about to lose its mark
			cost = before(mark)
		}
		if slices.ContainsFunc(chosen, func(v victim) bool { return v.Name == l.Name }) {
			continue
		}
		floor = min(floor, cost)
	}
	return floor
}

func newMark(v victim, cost int32) fleet.Mark {
	mark := fleet.Mark{Since: v.since}
	if cost != 0 {
		mark.Before = strconv.Itoa(int(cost))
	}
	return mark
}

// before is what a pod cost before it was marked.
func before(mark fleet.Mark) int32 {
	n, err := strconv.ParseInt(mark.Before, 10, 32)
	if err != nil {
		return 0 // it had none
	}
	return int32(n)
}

// below is less than a cost, as far as there is less.
func below(cost int32) int32 {
	const step = 10
	if cost < math.MinInt32+step {
		return math.MinInt32
	}
	return cost - step
}
