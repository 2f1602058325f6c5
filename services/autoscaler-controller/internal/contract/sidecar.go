package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// sidecar is what is said of the sidecar; nil where it is not asked for.
func sidecar(s *autoscaler.InjectedSidecar) *injection.Sidecar {
	if s == nil || !value(s.Enabled, true) {
		return nil
	}
	return &injection.Sidecar{
		MetricsPort: value(s.MetricsPort, 0), MetricsPath: value(s.MetricsPath, "/metrics"), ShareProcesses: value(s.ShareProcesses, true),
	}
}

// Impossible says what of a spec can never be right, whatever else there is in the cluster, and whatever version
// of the controller reads it; nil: nothing. The schema cannot say it: a 32nd day, a 30th of February, a time zone
// that there is not.
func Impossible(object map[string]any) error {
	raw, err := json.Marshal(object["spec"])
	if err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	var s struct {
		Schedules []autoscaler.Schedule `json:"schedules"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	faults := []error(nil)
	for _, one := range s.Schedules {
		one.Mode = nil // a newer version may know more of them
		read, of := readSchedules([]autoscaler.Schedule{one})
		faults = append(faults, of...)
		if len(of) > 0 || len(read) == 0 {
			continue
		}
		for _, moment := range []struct {
			field, text string
			at          scaling.Cron
		}{{"start", one.Start, read[0].Start}, {"end", one.End, read[0].End}} {
			if moment.at.Next(someDay).IsZero() {
				faults = append(faults, fmt.Errorf("spec.schedules[%s].%s: %q is not allowed: there is no such day", one.Name, moment.field, moment.text))
			}
		}
	}
	return errors.Join(faults...)
}

// someDay is any; cron looks five years ahead, and so over a 29th of February.
var someDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
