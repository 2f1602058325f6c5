package fleet

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// State is the part of a snapshot that scaling.Decide takes.
func (f *Fleet) State(k Key, missing string, now time.Time) (scaling.Spec, scaling.State, bool) {
	s, ok := f.Snapshot(k, missing, now)
	return s.Spec, s.Scaling, ok
}
