package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// maxDrainTimeout is the contract's bound.
const maxDrainTimeout = 24 * time.Hour

// autoscaler is a CustomAutoscaler as far as it is needed here.
type autoscaler struct {
	fleet.Autoscaler
	created    time.Time
	written    time.Time // when its spec was last written, as far as that is known
	generation int64
	uid        string
	spec       scaling.Spec
	balancing  balancing
	limit      int32 // containerConcurrency
	restore    bool  // what sleeps is woken when this has gone
	waiting    fleet.Waiting
	uncounted  []fleet.UncountedRequest
	targets    []target
	malformed  error // the object does not decode; the rest is what was last known
}

// target is one Deployment of it.
type target struct {
	name    string
	prefix  string
	port    int32
	service string
	hosts   []string
	keep    bool // the prefix stays in the path
	asIs    bool // answers are not rewritten
	own     balancing
}

// wire is the JSON of a CustomAutoscaler. Defaults are those of the contract: an object that was
// stored before a default came has none.
type wire struct {
	Spec struct {
		balancing
		Targets []struct {
			Name    string   `json:"name"`
			Prefix  string   `json:"apiPrefix"`
			Port    string   `json:"port"`
			Service string   `json:"service"`
			Hosts   []string `json:"hosts"`
			Strip   *bool    `json:"stripPrefix"`
			Rewrite *bool    `json:"rewriteAnswers"`
			balancing
		} `json:"targetDeployments"`
		requests
		demand
		IdleTime              *int32 `json:"idleTime"`
		MinReplicas           int32  `json:"minReplicas"`
		MaxReplicas           *int32 `json:"maxReplicas"`
		CPUThreshold          int32  `json:"cpuThreshold"`
		MemoryThreshold       int32  `json:"memoryThreshold"`
		ResponseTimeThreshold int32  `json:"responseTimeThreshold"`
		ContainerConcurrency  int32  `json:"containerConcurrency"`
		WakeUpTimeout         *int32 `json:"wakeUpTimeout"`
		ScaleUpWindow         int32  `json:"scaleUpWindow"`
		ScaleDownWindow       *int32 `json:"scaleDownWindow"`
		ScalingRules          []rule `json:"scalingRules"`
		OnDelete              string `json:"onDelete"`
		DrainTimeout          *int32 `json:"drainTimeoutSeconds"`
	} `json:"spec"`
}

// rule is the JSON of a scaling rule.
type rule struct {
	Name       string `json:"name"`
	Action     string `json:"action"`
	Step       int32  `json:"step"`
	Thresholds []struct {
		MetricType string  `json:"metricType"`
		Operator   string  `json:"operator"`
		Value      float64 `json:"value"`
		Duration   int32   `json:"duration"`
	} `json:"thresholds"`
}

func (r rule) rule() scaling.Rule {
	out := scaling.Rule{Name: r.Name, Action: scaling.Action(r.Action), Step: r.Step}
	for _, t := range r.Thresholds {
		out.Thresholds = append(out.Thresholds, scaling.Threshold{
			Metric: scaling.Metric(t.MetricType), Operator: scaling.Operator(t.Operator), Value: t.Value, For: time.Duration(t.Duration) * time.Second,
		})
	}
	return out
}

// decode reads an object. The API server has validated it against the CustomResourceDefinition,
// but perhaps against another version of it; so everything that could do harm is looked at again.
func decode(u *unstructured.Unstructured) (autoscaler, error) {
	a := autoscaler{
		Autoscaler: fleet.Autoscaler{Namespace: u.GetNamespace(), Name: u.GetName()},
		created:    u.GetCreationTimestamp().Time, written: lastWritten(u), generation: u.GetGeneration(), uid: string(u.GetUID()),
	}
	raw, err := u.MarshalJSON()
	if err != nil {
		return a, err
	}
	var w wire
	if err := json.Unmarshal(raw, &w); err != nil {
		return a, err
	}
	s := w.Spec
	a.balancing, a.limit = s.balancing, s.ContainerConcurrency
	a.restore = s.OnDelete != "Keep"
	a.waiting, a.uncounted = s.waiting(), s.uncounted()
	a.spec = scaling.Spec{
		MinReplicas: s.MinReplicas, MaxReplicas: value(s.MaxReplicas, 10),
		IdleTime:      time.Duration(value(s.IdleTime, 300)) * time.Second,
		WakeUpTimeout: time.Duration(value(s.WakeUpTimeout, 120)) * time.Second,
		CPUThreshold:  s.CPUThreshold, MemoryThreshold: s.MemoryThreshold, ResponseTimeThreshold: s.ResponseTimeThreshold,
	}
	a.spec.UpWindow = time.Duration(s.ScaleUpWindow) * time.Second
	a.spec.DownWindow = time.Duration(value(s.ScaleDownWindow, 60)) * time.Second
	if s.DrainTimeout != nil {
		limit := time.Duration(*s.DrainTimeout) * time.Second
		a.spec.DrainTimeout = &limit
	}
	for _, r := range s.ScalingRules {
		a.spec.Rules = append(a.spec.Rules, r.rule())
	}
	s.into(&a.spec)
	a.spec.ContainerConcurrency = s.ContainerConcurrency
	var schedules []error
	a.spec.Schedules, schedules = s.schedules()
	faults := slices.Concat(a.faults(), s.requests.faults(a.spec.WakeUpTimeout), s.demand.faults(), s.balancing.faults("spec"), schedules)
	for i, t := range s.Targets {
		port, err := strconv.ParseUint(t.Port, 10, 16)
		if err != nil || port == 0 {
			faults = append(faults, fmt.Errorf("spec.targetDeployments[%d].port: %q is not allowed: must be from 1 to 65535", i, t.Port))
		}
		if t.Name == "" {
			faults = append(faults, fmt.Errorf("spec.targetDeployments[%d].name: is missing", i))
		}
		if !strings.HasPrefix(t.Prefix, "/") {
			faults = append(faults, fmt.Errorf("spec.targetDeployments[%d].apiPrefix: %q is not allowed: must begin with /", i, t.Prefix))
		}
		a.targets = append(a.targets, target{name: t.Name, prefix: t.Prefix, port: int32(port), service: t.Service, hosts: t.Hosts, keep: no(t.Strip), asIs: no(t.Rewrite), own: t.balancing})
		faults = append(faults, t.faults(fmt.Sprintf("spec.targetDeployments[%d]", i))...)
	}
	return a, errors.Join(faults...)
}

func (a autoscaler) faults() []error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(a.spec.MinReplicas >= 0, "spec.minReplicas: %d is not allowed: must be at least 0", a.spec.MinReplicas)
	check(a.spec.MaxReplicas >= max(1, a.spec.MinReplicas), "spec.maxReplicas: %d is not allowed: must be at least 1 and minReplicas", a.spec.MaxReplicas)
	check(a.spec.IdleTime >= time.Second, "spec.idleTime: %v is not allowed: must be at least 1 second", a.spec.IdleTime)
	check(a.spec.WakeUpTimeout >= time.Second, "spec.wakeUpTimeout: %v is not allowed: must be at least 1 second", a.spec.WakeUpTimeout)
	check(a.spec.UpWindow >= 0 && a.spec.DownWindow >= 0, "spec.scaleUpWindow, spec.scaleDownWindow: must be at least 0")
	for _, r := range a.spec.Rules {
		check(slices.Contains([]scaling.Action{scaling.Increase, scaling.Decrease, scaling.DecreaseToZero}, r.Action),
			"spec.scalingRules[%s].action: %q is not allowed", r.Name, r.Action)
		check(len(r.Thresholds) > 0, "spec.scalingRules[%s].thresholds: must not be empty", r.Name)
		for _, t := range r.Thresholds {
			check(t.Metric.Unit() != "", "spec.scalingRules[%s].metricType: %q is not allowed", r.Name, t.Metric)
			check(slices.Contains([]scaling.Operator{scaling.GreaterThan, scaling.LessThan, scaling.EqualTo}, t.Operator),
				"spec.scalingRules[%s].operator: %q is not allowed", r.Name, t.Operator)
		}
	}
	if limit := a.spec.DrainTimeout; limit != nil {
		check(*limit >= 0 && *limit <= maxDrainTimeout, "spec.drainTimeoutSeconds: %v is not allowed: must be from 0 to %v", limit.Seconds(), maxDrainTimeout.Seconds())
	}
	check(a.limit >= 0, "spec.containerConcurrency: %d is not allowed: must be at least 0", a.limit)
	return faults
}

// no tells whether it was said to be false; what is left out is true.
func no(p *bool) bool { return p != nil && !*p }

func value(p *int32, otherwise int32) int32 {
	if p == nil {
		return otherwise
	}
	return *p
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
