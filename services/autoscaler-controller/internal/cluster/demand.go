package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// demand is the JSON of how an application is scaled by what it is asked to do, and when: a part of a
// CustomAutoscaler's spec.
type demand struct {
	Mode              string     `json:"mode"`
	PausedReplicas    *int32     `json:"pausedReplicas"`
	Schedules         []schedule `json:"schedules"`
	TargetConcurrency float64    `json:"targetConcurrency"`
	LearnConcurrency  bool       `json:"learnConcurrency"`
	TargetRequestRate float64    `json:"targetRequestRate"`
	MaxStartingPods   *int32     `json:"maxStartingPods"`
	WakeTogether      bool       `json:"wakeTogether"`
	Behavior          struct {
		ScaleUp   pace `json:"scaleUp"`
		ScaleDown pace `json:"scaleDown"`
	} `json:"behavior"`
}

type schedule struct {
	Name        string `json:"name"`
	Start       string `json:"start"`
	End         string `json:"end"`
	TimeZone    string `json:"timeZone"`
	MinReplicas *int32 `json:"minReplicas"`
	MaxReplicas *int32 `json:"maxReplicas"`
	Mode        string `json:"mode"`
}

type pace struct {
	Stabilization *int32 `json:"stabilizationWindowSeconds"`
	Select        string `json:"selectPolicy"`
	Policies      []struct {
		Type   string `json:"type"`
		Value  int32  `json:"value"`
		Period int32  `json:"periodSeconds"`
	} `json:"policies"`
}

// maxStarting is the contract's default.
const maxStarting = 100

func (d demand) into(spec *scaling.Spec) {
	spec.Mode, spec.PausedReplicas, spec.Together = scaling.Mode(d.Mode), d.PausedReplicas, d.WakeTogether
	spec.TargetConcurrency, spec.TargetRequestRate, spec.Learn = d.TargetConcurrency, d.TargetRequestRate, d.LearnConcurrency
	spec.MaxStarting = value(d.MaxStartingPods, maxStarting)
	spec.Behavior = scaling.Behavior{Up: d.Behavior.ScaleUp.pace(), Down: d.Behavior.ScaleDown.pace()}
}

func (p pace) pace() scaling.Pace {
	out := scaling.Pace{Stabilization: -1, Select: scaling.Select(p.Select)}
	if p.Stabilization != nil {
		out.Stabilization = time.Duration(*p.Stabilization) * time.Second
	}
	for _, policy := range p.Policies {
		out.Policies = append(out.Policies, scaling.Policy{
			Percent: policy.Type == "Percent", Value: policy.Value, Period: time.Duration(policy.Period) * time.Second,
		})
	}
	return out
}

var modes = []scaling.Mode{"", scaling.Active, scaling.Observe, scaling.Paused}

func (d demand) faults() []error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(modes, scaling.Mode(d.Mode)), "spec.mode: %q is not allowed: must be Active, Observe or Paused", d.Mode)
	check(value(d.PausedReplicas, 0) >= 0, "spec.pausedReplicas: %d is not allowed: must be at least 0", value(d.PausedReplicas, 0))
	check(d.TargetConcurrency >= 0, "spec.targetConcurrency: %v is not allowed: must be more than 0", d.TargetConcurrency)
	check(d.TargetRequestRate >= 0, "spec.targetRequestRate: %v is not allowed: must be more than 0", d.TargetRequestRate)
	check(value(d.MaxStartingPods, 1) >= 1, "spec.maxStartingPods: %d is not allowed: must be at least 1", value(d.MaxStartingPods, 1))
	for name, p := range map[string]pace{"scaleUp": d.Behavior.ScaleUp, "scaleDown": d.Behavior.ScaleDown} {
		field := "spec.behavior." + name
		check(value(p.Stabilization, 0) >= 0, "%s.stabilizationWindowSeconds: %d is not allowed: must be at least 0", field, value(p.Stabilization, 0))
		check(slices.Contains([]string{"", "Max", "Min", "Disabled"}, p.Select), "%s.selectPolicy: %q is not allowed: must be Max, Min or Disabled", field, p.Select)
		for i, policy := range p.Policies {
			check(policy.Type == "Pods" || policy.Type == "Percent", "%s.policies[%d].type: %q is not allowed: must be Pods or Percent", field, i, policy.Type)
			check(policy.Value >= 1, "%s.policies[%d].value: %d is not allowed: must be at least 1", field, i, policy.Value)
			check(policy.Period >= 1, "%s.policies[%d].periodSeconds: %d is not allowed: must be at least 1", field, i, policy.Period)
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return faults
}

// schedules reads them; one that cannot be read makes the object malformed, and names its field.
func (d demand) schedules() ([]scaling.Schedule, []error) {
	var list []scaling.Schedule
	var faults []error
	for _, s := range d.Schedules {
		zone, err := time.LoadLocation(s.TimeZone)
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.schedules[%s].timeZone: %q is not allowed: must be a name of the IANA database, such as Europe/Berlin", s.Name, s.TimeZone))
			continue
		}
		out := scaling.Schedule{Name: s.Name, Min: s.MinReplicas, Max: s.MaxReplicas, Mode: scaling.Mode(s.Mode)}
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
			faults = append(faults, fmt.Errorf("spec.schedules[%s].mode: %q is not allowed: must be Active, Observe or Paused", s.Name, s.Mode))
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
