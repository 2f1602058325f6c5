package contract

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// readSchedules reads them; one that cannot be read makes the object malformed, and names its field.
func readSchedules(given []autoscaler.Schedule) ([]scaling.Schedule, []error) {
	var list []scaling.Schedule
	var faults []error
	for _, s := range given {
		zone, err := time.LoadLocation(value(s.TimeZone, ""))
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.schedules[%s].timeZone: %q is not allowed: must be a name of the IANA database, such as Europe/Berlin", s.Name, *s.TimeZone))
			continue
		}
		out := scaling.Schedule{Name: s.Name, Min: s.MinReplicas, Max: s.MaxReplicas, Mode: scaling.Mode(value(s.Mode, ""))}
		for _, moment := range []struct {
			field, text string
			into        *scaling.Cron
		}{{"start", s.Start, &out.Start}, {"end", s.End, &out.End}} {
			c, err := parseCron(moment.text)
			if err != nil {
				faults = append(faults, fmt.Errorf("spec.schedules[%s].%s: %q is not allowed: must be five fields of cron (%w)", s.Name, moment.field, moment.text, err))
				continue
			}
			*moment.into = inZone{c, zone}
		}
		if !slices.Contains(modes, out.Mode) {
			faults = append(faults, fmt.Errorf("spec.schedules[%s].mode: %q is not allowed: must be Active, Observe or Paused", s.Name, out.Mode))
		}
		list = append(list, out)
	}
	return list, faults
}

// parseCron takes five fields and nothing else: neither descriptors such as @daily nor a zone of its own.
func parseCron(text string) (cron.Schedule, error) {
	if !cronForm.MatchString(text) {
		return nil, errors.New("minute, hour, day of the month, month, day of the week")
	}
	return cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
}

// cronForm is the contract's; the parser is given nothing else.
var cronForm = regexp.MustCompile(`^[0-9A-Za-z*/,?-]+( +[0-9A-Za-z*/,?-]+){4}$`)

// inZone asks a schedule in its own zone.
type inZone struct {
	cron.Schedule
	zone *time.Location
}

// Next is the first time after t.
func (z inZone) Next(t time.Time) time.Time { return z.Schedule.Next(t.In(z.zone)) }
