// Package contract translates between the contract's CustomAutoscaler and what the controller works
// with: its spec inward, its status outward and, for the next leader, inward again. cluster stores what
// it makes, and httpapi answers with it, so that both say the same.
//
// The API server has validated an object against the CustomResourceDefinition, but perhaps against that
// of another version; so everything that could do harm is looked at again. Defaults are those of the
// contract: an object that was stored before a default came has none.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// maxDrainTimeout is the contract's bound.
const maxDrainTimeout = 24 * time.Hour

// Spec is what a CustomAutoscaler asks for.
type Spec struct {
	Scaling     scaling.Spec
	Concurrency int32 // containerConcurrency
	Restore     bool  // what sleeps is woken when the object has gone
	ProbeEarly  bool  // load balancers check pods from the first moment
	Waiting     fleet.Waiting
	Uncounted   []fleet.UncountedRequest
	Targets     []Target
	Sidecar     *injection.Sidecar // nil: it is not put into pods
}

// Target is one entry of targetDeployments. How its pods are chosen is said by it or by the spec.
type Target struct {
	Name           string
	Prefix         string
	Hosts          []string
	Port           Port
	Service        string // "" is none
	StripPrefix    bool
	RewriteAnswers bool
	Algorithm      string // "" is as the load balancers' settings say
	Hash           fleet.HashOn
}

// ReadSpec reads the spec of an object. With an error, which names every field at fault, the rest is
// still read as far as that is possible.
func ReadSpec(object map[string]any) (Spec, error) {
	raw, err := json.Marshal(object["spec"])
	if err != nil {
		return Spec{}, fmt.Errorf("spec: %w", err)
	}
	return DecodeSpec(raw)
}

// DecodeSpec is ReadSpec of a spec as JSON; of none it is an empty one.
func DecodeSpec(raw []byte) (Spec, error) {
	var s autoscaler.CustomAutoscalerSpec
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &s); err != nil {
			return Spec{}, fmt.Errorf("spec: %w", err)
		}
	}
	out := Spec{
		Scaling: scalingSpec(s), Concurrency: value(s.ContainerConcurrency, 0), Restore: value(s.OnDelete, "") != autoscaler.OnDeleteKeep,
		ProbeEarly: value(s.ProbeEarly, false), Waiting: waiting(s), Uncounted: uncounted(s),
		Sidecar: sidecar(s.Sidecar),
	}
	var schedules, targets []error
	out.Scaling.Schedules, schedules = readSchedules(value(s.Schedules, nil))
	out.Targets, targets = readTargets(s)
	return out, errors.Join(slices.Concat(
		scalingFaults(out), requestFaults(s, out.Scaling.WakeUpTimeout), demandFaults(s), hashFaults("spec", s.ConsistentHash), schedules, targets)...)
}

func scalingSpec(s autoscaler.CustomAutoscalerSpec) scaling.Spec {
	out := scaling.Spec{
		MinReplicas: value(s.MinReplicas, 0), MaxReplicas: value(s.MaxReplicas, 10),
		IdleTime: seconds(value(s.IdleTime, 300)), WakeUpTimeout: seconds(value(s.WakeUpTimeout, 120)),
		CPUThreshold: value(s.CpuThreshold, 0), MemoryThreshold: value(s.MemoryThreshold, 0), ResponseTimeThreshold: value(s.ResponseTimeThreshold, 0),
		UpWindow: seconds(value(s.ScaleUpWindow, 0)), DownWindow: seconds(value(s.ScaleDownWindow, 60)),
		ContainerConcurrency: value(s.ContainerConcurrency, 0), TargetConcurrency: value(s.TargetConcurrency, 0),
		Learn: value(s.LearnConcurrency, false), TargetRequestRate: value(s.TargetRequestRate, 0), MaxStarting: value(s.MaxStartingPods, 100),
		Mode: scaling.Mode(value(s.Mode, "")), PausedReplicas: s.PausedReplicas, Together: value(s.WakeTogether, false),
	}
	behavior := value(s.Behavior, autoscaler.ScalingBehavior{})
	out.Behavior = scaling.Behavior{Up: pace(behavior.ScaleUp), Down: pace(behavior.ScaleDown)}
	if s.DrainTimeoutSeconds != nil {
		limit := seconds(*s.DrainTimeoutSeconds)
		out.DrainTimeout = &limit
	}
	for _, r := range value(s.ScalingRules, nil) {
		out.Rules = append(out.Rules, rule(r))
	}
	return out
}

func rule(r autoscaler.ScalingRule) scaling.Rule {
	out := scaling.Rule{Name: r.Name, Action: scaling.Action(r.Action), Step: value(r.Step, 0)}
	for _, t := range r.Thresholds {
		out.Thresholds = append(out.Thresholds, scaling.Threshold{
			Metric: scaling.Metric(t.MetricType), Operator: scaling.Operator(t.Operator), Value: t.Value, For: seconds(value(t.Duration, 0)),
		})
	}
	return out
}

func readTargets(s autoscaler.CustomAutoscalerSpec) ([]Target, []error) {
	var faults []error
	list := make([]Target, 0, len(s.TargetDeployments))
	for i, t := range s.TargetDeployments {
		field := fmt.Sprintf("spec.targetDeployments[%d]", i)
		port, err := readPort(t.Port)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s.port: %w", field, err))
		}
		if t.Name == "" {
			faults = append(faults, fmt.Errorf("%s.name: is missing", field))
		}
		if !strings.HasPrefix(t.ApiPrefix, "/") {
			faults = append(faults, fmt.Errorf("%s.apiPrefix: %q is not allowed: must begin with /", field, t.ApiPrefix))
		}
		faults = append(faults, hashFaults(field, t.ConsistentHash)...)
		list = append(list, Target{
			Name: t.Name, Prefix: t.ApiPrefix, Hosts: value(t.Hosts, nil), Port: port, Service: value(t.Service, ""),
			StripPrefix: value(t.StripPrefix, true), RewriteAnswers: value(t.RewriteAnswers, true),
			Algorithm: string(value(given(s, t.Name, algorithmOf, s.LoadBalancingAlgorithm), "")),
			Hash:      hashOn(given(s, t.Name, hashOf, s.ConsistentHash)),
		})
	}
	return list, faults
}

func scalingFaults(s Spec) []error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	spec := s.Scaling
	check(spec.MinReplicas >= 0, "spec.minReplicas: %d is not allowed: must be at least 0", spec.MinReplicas)
	check(spec.MaxReplicas >= max(1, spec.MinReplicas), "spec.maxReplicas: %d is not allowed: must be at least 1 and minReplicas", spec.MaxReplicas)
	check(spec.IdleTime >= time.Second, "spec.idleTime: %v is not allowed: must be at least 1 second", spec.IdleTime)
	check(spec.WakeUpTimeout >= time.Second, "spec.wakeUpTimeout: %v is not allowed: must be at least 1 second", spec.WakeUpTimeout)
	check(spec.UpWindow >= 0 && spec.DownWindow >= 0, "spec.scaleUpWindow, spec.scaleDownWindow: must be at least 0")
	for _, r := range spec.Rules {
		check(slices.Contains([]scaling.Action{scaling.Increase, scaling.Decrease, scaling.DecreaseToZero}, r.Action),
			"spec.scalingRules[%s].action: %q is not allowed", r.Name, r.Action)
		check(len(r.Thresholds) > 0, "spec.scalingRules[%s].thresholds: must not be empty", r.Name)
		for _, t := range r.Thresholds {
			check(t.Metric.Unit() != "", "spec.scalingRules[%s].metricType: %q is not allowed", r.Name, t.Metric)
			check(slices.Contains([]scaling.Operator{scaling.GreaterThan, scaling.LessThan, scaling.EqualTo}, t.Operator),
				"spec.scalingRules[%s].operator: %q is not allowed", r.Name, t.Operator)
		}
	}
	if limit := spec.DrainTimeout; limit != nil {
		check(*limit >= 0 && *limit <= maxDrainTimeout, "spec.drainTimeoutSeconds: %v is not allowed: must be from 0 to %v", limit.Seconds(), maxDrainTimeout.Seconds())
	}
	check(s.Concurrency >= 0, "spec.containerConcurrency: %d is not allowed: must be at least 0", s.Concurrency)
	return faults
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// value is what p points to, or what stands for it where it is left out.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// given is what the first of a Deployment's targets says that says anything, else what is said for all.
func given[T any](s autoscaler.CustomAutoscalerSpec, deployment string, of func(autoscaler.TargetDeployment) *T, forAll *T) *T {
	for _, t := range s.TargetDeployments {
		if p := of(t); t.Name == deployment && p != nil {
			return p
		}
	}
	return forAll
}

func algorithmOf(t autoscaler.TargetDeployment) *autoscaler.LoadBalancingAlgorithm {
	return t.LoadBalancingAlgorithm
}

func hashOf(t autoscaler.TargetDeployment) *autoscaler.ConsistentHashKey { return t.ConsistentHash }
