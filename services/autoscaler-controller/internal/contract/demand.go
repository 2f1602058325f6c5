package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func pace(p *autoscaler.ScalingPace) scaling.Pace {
	out := scaling.Pace{Stabilization: -1}
	if p == nil {
		return out
	}
	out.Select = scaling.Select(value(p.SelectPolicy, ""))
	if p.StabilizationWindowSeconds != nil {
		out.Stabilization = seconds(*p.StabilizationWindowSeconds)
	}
	for _, policy := range value(p.Policies, nil) {
		out.Policies = append(out.Policies, scaling.Policy{
			Percent: policy.Type == autoscaler.PacePercent, Value: policy.Value, Period: seconds(policy.PeriodSeconds),
		})
	}
	return out
}

var modes = []scaling.Mode{"", scaling.Active, scaling.Observe, scaling.Paused}

func demandFaults(s autoscaler.CustomAutoscalerSpec) []error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	mode, held, starting := value(s.Mode, ""), value(s.PausedReplicas, 0), value(s.MaxStartingPods, 1)
	check(slices.Contains(modes, scaling.Mode(mode)), "spec.mode: %q is not allowed: must be Active, Observe or Paused", mode)
	check(held >= 0, "spec.pausedReplicas: %d is not allowed: must be at least 0", held)
	check(value(s.TargetConcurrency, 0) >= 0, "spec.targetConcurrency: %v is not allowed: must be more than 0", value(s.TargetConcurrency, 0))
	check(value(s.TargetRequestRate, 0) >= 0, "spec.targetRequestRate: %v is not allowed: must be more than 0", value(s.TargetRequestRate, 0))
	check(starting >= 1, "spec.maxStartingPods: %d is not allowed: must be at least 1", starting)
	behavior := value(s.Behavior, autoscaler.ScalingBehavior{})
	faults = append(faults, paceFaults("spec.behavior.scaleDown", behavior.ScaleDown)...)
	faults = append(faults, paceFaults("spec.behavior.scaleUp", behavior.ScaleUp)...)
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

func paceFaults(field string, p *autoscaler.ScalingPace) []error {
	if p == nil {
		return nil
	}
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	window, selected := value(p.StabilizationWindowSeconds, 0), string(value(p.SelectPolicy, ""))
	check(window >= 0, "%s.stabilizationWindowSeconds: %d is not allowed: must be at least 0", field, window)
	check(slices.Contains([]string{"", "Max", "Min", "Disabled"}, selected), "%s.selectPolicy: %q is not allowed: must be Max, Min or Disabled", field, selected)
	for i, policy := range value(p.Policies, nil) {
		check(policy.Type == autoscaler.PacePods || policy.Type == autoscaler.PacePercent, "%s.policies[%d].type: %q is not allowed: must be Pods or Percent", field, i, policy.Type)
		check(policy.Value >= 1, "%s.policies[%d].value: %d is not allowed: must be at least 1", field, i, policy.Value)
		check(policy.PeriodSeconds >= 1, "%s.policies[%d].periodSeconds: %d is not allowed: must be at least 1", field, i, policy.PeriodSeconds)
	}
	return faults
}
