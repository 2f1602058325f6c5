package fleet

import (
	"math"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Learned is what was learned of an application over time. It is kept in the status of its
// CustomAutoscaler, and read back from there (Observation.Learned) by who takes over.
type Learned struct {
	Starts         []time.Duration // how long the last starts took, oldest first
	PodConcurrency float64         // see scaling.Demand; 0: not known
	ServiceTime    time.Duration   // that a request is on a pod; 0: not known
}

// empty tells whether nothing was learned.
func (l Learned) empty() bool {
	return len(l.Starts) == 0 && l.PodConcurrency == 0 && l.ServiceTime == 0
}

// learned is what this process knows beside the starts: what it has found itself or, where it has
// not, what the leader before had.
type learned struct {
	given   Learned
	service time.Duration
	knee    *knee     // nil: nothing was looked at
	at      time.Time // of the last look
}

func (l *learned) serviceTime() time.Duration {
	if l.service > 0 {
		return l.service
	}
	return l.given.ServiceTime
}

func (l *learned) podConcurrency() float64 {
	if c := l.knee.concurrency(); c > 0 {
		return c
	}
	return l.given.PodConcurrency
}

// learnEvery is how often an application is looked at: reports may come faster than that.
const learnEvery = time.Second

// learn looks at what an application's pods do now. What was averaged over another number of pods says
// nothing of one, nor does what is on pods of which some get nothing new.
func (a *application) learn(w watch, now time.Time) {
	ready := a.ready()
	if ready == 0 || !a.quiet.told.nothing() || now.Sub(a.changed) < scaling.ShortWindow || now.Sub(a.learned.at) < learnEvery {
		return
	}
	a.learned.at = now
	total := a.total(w)
	if t, ok := serviceTime(total[1]); ok {
		a.learned.service = t
	}
	if a.learned.knee == nil {
		a.learned.knee = &knee{}
	}
	a.learned.knee.see(total[0].occupied/float64(ready), total[0].finished/float64(ready))
}

// adopt takes over what the leader before had learned, until this process has learned for itself.
func (a *application) adopt(given Learned) {
	if given.empty() {
		return
	}
	a.learned.given = given
	if !a.starts.own {
		a.starts.took = slices.Clone(given.Starts[max(0, len(given.Starts)-keptStarts):])
		a.starts.next = 0
	}
}

// tell is what was learned, in as many figures as are worth a write.
func (a *application) tell() Learned {
	l := Learned{
		PodConcurrency: figures(a.learned.podConcurrency()),
		ServiceTime:    time.Duration(figures(a.learned.serviceTime().Seconds()) * float64(time.Second)),
	}
	for _, took := range a.starts.inOrder() {
		l.Starts = append(l.Starts, took.Round(time.Millisecond))
	}
	return l
}

// figures rounds to two significant digits.
func figures(v float64) float64 {
	if v <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Round(v/unit) * unit
}
