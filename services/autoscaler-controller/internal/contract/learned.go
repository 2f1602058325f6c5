package contract

import (
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Anybody may have written a status, so what is read from one is bounded.
const (
	longestLearned = 24 * time.Hour
	mostStarts     = 20     // as the contract has it
	mostAtATime    = 1e6    // requests that a pod works on
	maxReplicas    = 10_000 // as the contract has it
)

// Remembered is what the status of a CustomAutoscaler keeps of one of its targets for whoever leads next.
type Remembered struct {
	Slept   int32 // pods asked for before it went to sleep; 0 is not known
	Learned fleet.Learned
}

// Remembered is what it keeps of a Deployment.
func (s Status) Remembered(deployment string) Remembered {
	t := s.target(deployment)
	out := Remembered{Learned: readLearned(t.Learned)}
	if n := value(t.ReplicasBeforeSleep, 0); n > 0 && n <= maxReplicas {
		out.Slept = n
	}
	return out
}

// learned is what was learned of a target; nil is nothing.
func learned(l fleet.Learned) *autoscaler.Learned {
	if len(l.Starts) == 0 && l.PodConcurrency <= 0 && l.ServiceTime <= 0 {
		return nil
	}
	out := &autoscaler.Learned{ServiceSeconds: positive(l.ServiceTime)}
	if l.PodConcurrency > 0 {
		out.PodConcurrency = &l.PodConcurrency
	}
	if len(l.Starts) > 0 {
		starts := make([]float64, 0, len(l.Starts))
		for _, took := range l.Starts {
			starts = append(starts, took.Seconds())
		}
		out.StartSeconds = &starts
	}
	return out
}

func readLearned(l *autoscaler.Learned) fleet.Learned {
	if l == nil {
		return fleet.Learned{}
	}
	out := fleet.Learned{ServiceTime: learnedTime(value(l.ServiceSeconds, 0))}
	if c := value(l.PodConcurrency, 0); c > 0 && c < mostAtATime {
		out.PodConcurrency = c
	}
	starts := value(l.StartSeconds, nil)
	for _, s := range starts[:min(len(starts), mostStarts)] {
		if took := learnedTime(s); took > 0 {
			out.Starts = append(out.Starts, took)
		}
	}
	return out
}

// learnedTime is a number of seconds; 0 if it is none that can be.
func learnedTime(seconds float64) time.Duration {
	if !(seconds > 0) || seconds > longestLearned.Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
}
