package scaling

import (
	"fmt"
	"strings"
	"time"
)

// hold may forbid the way down from s.Replicas to `to`. It says why, or "" to let it pass; due is
// when it may let it pass by the mere passing of time.
type hold struct {
	name   string
	forbid func(spec Spec, s State, to int32, now time.Time) (why string, due time.Time)
}

// holds are asked in this order, and all are asked, so that a person sees every obstacle at once.
var holds = []hold{
	{"Picture", picture},
	{"NoReport", noReport},
	{"StaleReport", staleReport},
	{"Paused", paused},
	{"Starting", starting},
	{"Retry", retry},
}

// picture: after a start or a change of leadership nothing goes down before all is known again.
func picture(_ Spec, s State, _ int32, _ time.Time) (string, time.Time) {
	if s.Missing == "" {
		return "", time.Time{}
	}
	return "the picture is not whole: " + s.Missing, time.Time{}
}

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
	names := make([]string, len(s.Traffic.Stale))
	for i, b := range s.Traffic.Stale {
		names[i] = b.Name
	}
	return "the last report is too old from " + list(names), s.Traffic.NextAge
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
	until := s.Start.Since.Add(max(spec.WakeUpTimeout, 3*s.Start.Expected))
	if !now.Before(until) {
		return "", time.Time{}
	}
	return "a start is under way", until
}

// retry: after a failed attempt to sleep the load balancers get some peace.
func retry(_ Spec, s State, to int32, now time.Time) (string, time.Time) {
	if to > 0 || !now.Before(s.Sleep.RetryAt) || !s.Sleep.Since.IsZero() {
		return "", time.Time{}
	}
	return "the last attempt to sleep was called off a moment ago", s.Sleep.RetryAt
}

// list names at most three.
func list(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}
