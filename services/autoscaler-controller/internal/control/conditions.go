package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// The conditions of an application. A CustomAutoscaler has the same, over all its targets, and
// Accepted.
const (
	TargetFound      = "TargetFound"
	AbleToScale      = "AbleToScale"
	Active           = "Active"
	ThresholdsActive = "ThresholdsActive"
	GracePeriod      = "GracePeriodSufficient"
	Contested        = "Contested" // True is bad: somebody sets the count back again and again
)

// conditions says how an application stands; failure is why the last scaling failed.
func conditions(v fleet.View, failure string, before []fleet.Condition, now time.Time) []fleet.Condition {
	found := fleet.Condition{Type: TargetFound, OK: true, Reason: "DeploymentFound", Message: "the Deployment " + v.Key.String() + " exists"}
	switch {
	case !v.Deployment.Found:
		found = fleet.Condition{Type: TargetFound, Reason: "DeploymentMissing", Message: "the Deployment " + v.Key.String() + " does not exist"}
	case v.Problem != "":
		found = fleet.Condition{Type: TargetFound, Reason: "PortUnresolved", Message: v.Problem}
	}
	able := fleet.Condition{Type: AbleToScale, OK: true, Reason: "Ready", Message: "the Deployment can be scaled"}
	switch {
	case !v.Deployment.Found:
		able = fleet.Condition{Type: AbleToScale, Reason: "DeploymentMissing", Message: found.Message}
	case v.Contest != "":
		able = fleet.Condition{Type: AbleToScale, Reason: fleet.ContestedReason, Message: scaling.Contested(v.Contest)}
	case v.Owner != "":
		able = fleet.Condition{Type: AbleToScale, Reason: fleet.ConflictReason, Message: scaling.Conflict(v.Owner)}
	case failure != "":
		able = fleet.Condition{Type: AbleToScale, Reason: "ScaleFailed", Message: failure}
	case v.Mode == scaling.Paused:
		able = fleet.Condition{Type: AbleToScale, Reason: "ModePaused", Message: "mode is Paused: it is neither started nor stopped"}
	case v.Mode == scaling.Observe:
		able = fleet.Condition{Type: AbleToScale, Reason: "ModeObserve", Message: "mode is Observe: decisions are recorded and not applied"}
	case v.Deployment.Paused:
		able = fleet.Condition{Type: AbleToScale, Reason: "Paused", Message: "the Deployment is paused: it is not scaled down"}
	}
	active := fleet.Condition{Type: Active, OK: v.Deployment.Replicas > 0, Reason: string(v.State), Message: activity(v)}
	list := []fleet.Condition{found, able, active}
	if limit := v.Spec.DrainTimeout; limit != nil && v.Deployment.Found {
		list = append(list, gracePeriod(*limit, v.Deployment.Grace))
	}
	if v.Contest != "" {
		list = append(list, fleet.Condition{Type: Contested, OK: true, Reason: "SetBack", Message: scaling.Contested(v.Contest)})
	}
	if asked := v.Spec.Asked(); len(asked) > 0 {
		list = append(list, thresholdsActive(v, asked))
	}
	for i := range list {
		list[i].Since = now
		for _, b := range before {
			if b.Type == list[i].Type && b.OK == list[i].OK {
				list[i].Since = b.Since
			}
		}
	}
	return list
}

// gracePeriod tells whether pods that somebody else deletes (a rollout, a node that is drained) have as
// long to end as those that are chosen here.
func gracePeriod(drain, grace time.Duration) fleet.Condition {
	if grace < drain {
		return fleet.Condition{Type: GracePeriod, Reason: "GracePeriodTooShort", Message: fmt.Sprintf(
			"terminationGracePeriodSeconds of the pods is %d, drainTimeoutSeconds is %d: a rollout or the drain of a node cuts off what the way down here would wait for",
			int(grace.Seconds()), int(drain.Seconds()))}
	}
	return fleet.Condition{Type: GracePeriod, OK: true, Reason: "GracePeriodSufficient", Message: fmt.Sprintf(
		"terminationGracePeriodSeconds of the pods is %d, drainTimeoutSeconds is %d", int(grace.Seconds()), int(drain.Seconds()))}
}

func activity(v fleet.View) string {
	switch v.State {
	case fleet.Asleep:
		return "no pod is asked for"
	case fleet.Waking:
		return fmt.Sprintf("%d asked for, none ready yet%s", v.Deployment.Replicas, obstacle(v))
	case fleet.FallingAsleep:
		return "the load balancers are asked to stop sending"
	case fleet.Awake:
		return fmt.Sprintf("%d of %d ready%s", v.Ready, v.Deployment.Replicas, obstacle(v))
	default:
		return "the Deployment cannot be read"
	}
}

// obstacle is what keeps the pods that are missing from serving, in Kubernetes' words: no pod can be
// made, or what the first one that is not ready waits for.
func obstacle(v fleet.View) string {
	if v.Ready >= v.Deployment.Replicas {
		return ""
	}
	if v.Deployment.Refusal != "" {
		return ": no pod can be made: " + v.Deployment.Refusal
	}
	for _, p := range v.Pods {
		if p.Message != "" && !p.Ready && !p.Terminating {
			return ": " + p.Name + ": " + p.Message
		}
	}
	return ""
}

// thresholdsActive tells whether everything that thresholds and rules look at is known now. Without
// ready pods there is nothing to look at.
func thresholdsActive(v fleet.View, asked []scaling.Metric) fleet.Condition {
	var missing []string
	for _, m := range v.Means {
		if m.Missing > 0 && slices.Contains(asked, m.Metric) {
			missing = append(missing, fmt.Sprintf("%s of %d of %d ready pods", m.Metric, m.Missing, m.Missing+m.Pods))
		}
	}
	if len(missing) > 0 {
		return fleet.Condition{Type: ThresholdsActive, Reason: "MetricsMissing", Message: "not known: " + strings.Join(missing, ", ") + "; nothing is removed by load"}
	}
	return fleet.Condition{Type: ThresholdsActive, OK: true, Reason: "MetricsKnown", Message: "every metric of the thresholds and rules is known"}
}
