package notices

import (
	"container/list"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// The same of the same application is told once in quietFor; of so many it is remembered.
const (
	quietFor    = 10 * time.Minute
	keptRepeats = 4096
)

// saying is what two notices have in common that say the same: numbers that grow with time are not in it.
type saying struct {
	kind                              fleet.Happening
	namespace, autoscaler, deployment string
	words                             string
}

// said is what was told, and how often it was left out since.
type said struct {
	saying
	at      time.Time
	repeats int
}

// repeats remembers what was told lately, the oldest first.
type repeats struct {
	of   map[saying]*list.Element
	told list.List
}

// tell takes note of a notice; false: the same was told a moment ago. An application that woke, sleeps or was
// scaled is news each time.
func (r *repeats) tell(n *Notice, now time.Time) bool {
	if !n.Warning {
		return true
	}
	if r.of == nil {
		r.of = map[saying]*list.Element{}
	}
	s := saying{n.Kind, n.Namespace, n.Autoscaler, n.Deployment, scaling.Wording(n.Message)}
	if at, known := r.of[s]; known {
		before := at.Value.(*said) //nolint:forcetypeassert // nothing else is in it
		if now.Sub(before.at) < quietFor {
			before.repeats++
			return false
		}
		n.Repeats, before.repeats, before.at = before.repeats, 0, now
		r.told.MoveToBack(at)
		return true
	}
	for len(r.of) >= keptRepeats {
		oldest := r.told.Front()
		delete(r.of, oldest.Value.(*said).saying) //nolint:forcetypeassert // nothing else is in it
		r.told.Remove(oldest)
	}
	r.of[s] = r.told.PushBack(&said{saying: s, at: now})
	return true
}
