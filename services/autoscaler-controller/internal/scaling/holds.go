package scaling

import (
	"fmt"
	"strings"
	"time"
)

// hold may forbid the way down from s.Replicas to `to`. It says why, or "" to let it pass; due is
// when it may let it pass by the mere passing of time.
type hold struct {
	name     string
	concerns func(Decision) bool // nil: every way down
	forbid   func(spec Spec, s State, to int32, now time.Time) (why string, due time.Time)
}

// holds are asked in this order, and all are asked, so that a person sees every obstacle at once.
var holds = []hold{
	{"Picture", nil, picture},
	{"NoReport", nil, noReport},
	{"StaleReport", nil, staleReport},
	{"SilentReady", nil, silentReady},
	{"Unheard", nil, unheard},
	{"Paused", nil, paused},
	{"Starting", nil, starting},
	{"Starting", Decision.byDemand, startingMore},
	{"Demand", Decision.byDemand, unknownDemand},
	{"Retry", nil, retry},
	{"Settle", Decision.gradual, leaving},
	{"Busy", Decision.byRule, inUse},
}

// gradual: the wish moves so many pods at a time.
func (d Decision) gradual() bool { return d.Stride > 0 }

// byRule: one of the user's rules asks for it.
func (d Decision) byRule() bool { return d.Trigger == ByRule }

// byDemand: requests, or their absence, ask for it.
func (d Decision) byDemand() bool { return d.Trigger == ByDemand }

// picture: after a start or a change of leadership nothing goes down before all is known again.
func picture(_ Spec, s State, _ int32, now time.Time) (string, time.Time) {
	if s.Missing == "" {
		return "", time.Time{}
	}
	return "the picture is not whole: " + s.Missing, now.Add(pictureAgain)
}

// pictureAgain is when a picture that is not whole is looked at again: nobody says when it has become so.
const pictureAgain = time.Second

// noReport: without a live load balancer nobody knows whether the application is in use.
func noReport(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if len(s.Traffic.Live) > 0 {
		return "", time.Time{}
	}
	return "no load balancer reports traffic", s.Traffic.NextAge
}

// staleReport: a load balancer that fell silent may still hold requests.
func staleReport(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if len(s.Traffic.Stale) == 0 {
		return "", time.Time{}
	}
	var silent, awaited []string
	for _, b := range s.Traffic.Stale {
		switch {
		case b.Awaited:
			awaited = append(awaited, b.Name)
		case !b.silentReady():
			silent = append(silent, b.Name)
		}
	}
	var why []string
	if len(silent) > 0 {
		why = append(why, "the last report is too old from "+List(silent))
	}
	if len(awaited) > 0 {
		why = append(why, "since this controller took over nothing was heard yet from "+List(awaited)+", which reported to the one before")
	}
	if len(why) == 0 {
		return "", time.Time{}
	}
	return strings.Join(why, "; "), s.Traffic.NextAge
}

// silentReady: a load balancer that was silent for long, and whose pod runs and is ready, serves and is
// only not heard.
func silentReady(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	var names []string
	for _, b := range s.Traffic.Stale {
		if b.silentReady() {
			names = append(names, b.Name)
		}
	}
	if len(names) == 0 {
		return "", time.Time{}
	}
	return "nothing is heard from " + List(names) + ", though the pod runs and is ready", time.Time{}
}

// silentReady: for so long that it would be forgotten if its pod had gone.
func (b Stale) silentReady() bool { return b.Alive && !b.Awaited && b.Age >= time.Minute }

// unheard: a load balancer that nobody listens to may hold requests.
func unheard(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if s.Traffic.Unheard == 0 {
		return "", time.Time{}
	}
	return fmt.Sprintf("more than %d load balancers report, and the others are not listened to", s.Traffic.Unheard), s.Traffic.NextAge
}

// paused: a person who paused the rollout is at work there.
func paused(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if !s.Paused {
		return "", time.Time{}
	}
	return "the Deployment is paused", time.Time{}
}

// starting: a start that goes on is not stopped for being idle; a model that loads for minutes
// serves nobody meanwhile. maxReplicas still binds.
func starting(spec Spec, s State, to int32, now time.Time) (string, time.Time) {
	if s.Ready > 0 || s.Start.Since.IsZero() || s.Replicas > spec.MaxReplicas && to >= 1 {
		return "", time.Time{}
	}
	until := s.Start.Since.Add(startsFor(spec, s))
	if !now.Before(until) {
		return "", time.Time{}
	}
	return "a start is under way", until
}

// startingMore: pods that start beside others that serve were asked for, and go first when fewer are
// asked for; a model that loads is not thrown away because the burst was short.
func startingMore(spec Spec, s State, _ int32, now time.Time) (string, time.Time) {
	until := s.Start.Since.Add(startsFor(spec, s))
	if s.Ready == 0 || s.Ready >= s.Replicas || s.Start.Since.IsZero() || s.Replicas > spec.MaxReplicas || !now.Before(until) {
		return "", time.Time{}
	}
	return Count(s.Replicas-s.Ready, "pod is", "pods are") + " starting", until
}

// unknownDemand: what comes is the difference of two reports, and of one load balancer there is one only.
func unknownDemand(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if !s.Demand.Unknown {
		return "", time.Time{}
	}
	return "what comes is not known yet: a load balancer was heard once only", time.Time{}
}

// startsFor is how long a start may take before it counts as stuck.
func startsFor(spec Spec, s State) time.Duration { return max(spec.WakeUpTimeout, 3*s.Start.Expected) }

// leaving: pods go stride by stride; the next ones when the last ones have gone.
func leaving(_ Spec, s State, to int32, _ time.Time) (string, time.Time) {
	if to == 0 || s.Pods <= s.Replicas {
		return "", time.Time{}
	}
	return Count(s.Pods-s.Replicas, "pod is", "pods are") + " still going", time.Time{}
}

// inUse: a rule does not put to sleep what answers somebody.
func inUse(_ Spec, s State, to int32, _ time.Time) (string, time.Time) {
	switch {
	case to > 0:
	case busy(s.Traffic):
		return "requests are waiting or in flight", time.Time{}
	case s.Demand.Working():
		return "the pods have something to do, as their sidecars say", s.Demand.WorkingUntil
	}
	return "", time.Time{}
}

// retry: after a failed attempt to sleep the load balancers get some peace.
func retry(_ Spec, s State, to int32, now time.Time) (string, time.Time) {
	if to > 0 || !now.Before(s.RetryAt) {
		return "", time.Time{}
	}
	return "the last attempt to sleep was called off a moment ago", s.RetryAt
}
