package contract

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
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
// of the controller reads it; nil: nothing. The schema cannot say it: a 32nd day, a time zone that there is not.
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
		_, of := readSchedules([]autoscaler.Schedule{one})
		faults = append(faults, of...)
	}
	return errors.Join(faults...)
}
