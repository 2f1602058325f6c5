package adopt

import (
	"cmp"
	"fmt"
	"strings"
)

// What KEDA takes where nothing is said.
const (
	kedaMax      = 100
	kedaCooldown = 300
)

// scaledObject reads a ScaledObject, with what its triggers name.
func (a *adoption) scaledObject() error {
	spec := object(a.of, "spec")
	if err := a.scales("spec.scaleTargetRef", object(spec, "scaleTargetRef")); err != nil {
		return err
	}
	least, most := number(spec, "minReplicaCount"), int64(kedaMax)
	if n, ok := whole(spec["maxReplicaCount"]); ok {
		most = n
	}
	a.set(fmt.Sprintf("spec.minReplicaCount: %d", least), least, "minReplicas")
	a.set(fmt.Sprintf("spec.maxReplicaCount: %d", most), most, "maxReplicas")
	if idle, ok := whole(spec["idleReplicaCount"]); ok && idle == 0 && least > 0 {
		a.set("spec.idleReplicaCount: 0", int64(0), "minReplicas", fmt.Sprintf("it sleeps at 0; that it is at least %d while it is used cannot be said", least))
	}
	a.cooldown(spec, "cooldownPeriod")
	if spec["pollingInterval"] != nil {
		a.left("spec.pollingInterval", "it is decided when something is heard, and not at intervals")
	}
	a.initialCooldown(spec)
	if spec["fallback"] != nil {
		a.left("spec.fallback", "when something is not known nothing is taken away, and the count stays")
	}
	advanced := object(spec, "advanced")
	if restore, ok := advanced["restoreToOriginalReplicaCount"].(bool); ok {
		to := "Keep"
		if restore {
			to = "Restore"
		}
		a.set(fmt.Sprintf("spec.advanced.restoreToOriginalReplicaCount: %v", restore), to, "onDelete")
	}
	a.behavior("spec.advanced.horizontalPodAutoscalerConfig.behavior", object(advanced, "horizontalPodAutoscalerConfig", "behavior"))
	if advanced["scalingModifiers"] != nil {
		a.left("spec.advanced.scalingModifiers", "there are no formulas over metrics; rules (scalingRules) have several thresholds that must all hold")
	}
	a.paused()
	for i, trigger := range list(spec, "triggers") {
		a.trigger(fmt.Sprintf("spec.triggers[%d]", i), asObject(trigger))
	}
	a.next("Delete the ScaledObject when you apply this (with the annotation autoscaling.keda.sh/paused it would still hold the count): while it is there it has its way.")
	a.next("Send the clients to the load balancer of Nemesis in place of KEDA's interceptor.")
	return nil
}

func (a *adoption) cooldown(spec Object, name string) {
	seconds := int64(kedaCooldown)
	if n, ok := whole(spec[name]); ok {
		seconds = n
	}
	a.set(fmt.Sprintf("spec.%s: %d", name, seconds), max(seconds, 1), "idleTime", "seconds without traffic")
}

func (a *adoption) initialCooldown(spec Object) {
	if spec["initialCooldownPeriod"] != nil {
		a.left("spec.initialCooldownPeriod", "idleTime counts from the beginning")
	}
}

// paused are the annotations by which KEDA is paused.
func (a *adoption) paused() {
	annotations := object(a.of, "metadata", "annotations")
	if n, ok := whole(annotations["autoscaling.keda.sh/paused-replicas"]); ok {
		a.set("annotation autoscaling.keda.sh/paused-replicas", "Paused", "mode")
		a.spec["pausedReplicas"] = n
	} else if annotations["autoscaling.keda.sh/paused"] == "true" {
		a.set("annotation autoscaling.keda.sh/paused", "Paused", "mode")
	}
}

func (a *adoption) trigger(field string, t Object) {
	meta := object(t, "metadata")
	switch kind := text(t, "type"); kind {
	case "cpu", "memory":
		value := cmp.Or(text(meta, "value"), fmt.Sprint(at(meta, "value")))
		if text(meta, "containerName") != "" {
			a.left(field, "use is measured by pod, and not by container")
		} else if how := cmp.Or(text(t, "metricType"), text(meta, "type")); how == "AverageValue" {
			if v, ok := quantity(value); ok {
				a.threshold(fmt.Sprintf("%s: %s %s", field, kind, value), kind, v)
				return
			}
			a.left(field, "%q is no quantity", value)
		} else if percent, ok := whole(value); ok {
			a.utilization(field, kind, percent)
		} else {
			a.left(field, "%q is no percentage", value)
		}
	case "cron":
		a.cron(field, meta)
	case "external-push", "external":
		a.external(field, meta)
	default:
		a.left(field, "triggers of the kind %s are not read: Nemesis goes by requests, by what pods use, by what model servers say, and by the time of the week", cmp.Or(kind, "none"))
	}
}

// cron is a schedule.
func (a *adoption) cron(field string, meta Object) {
	n, ok := whole(meta["desiredReplicas"])
	if !ok || len(strings.Fields(text(meta, "start"))) != 5 || len(strings.Fields(text(meta, "end"))) != 5 {
		a.left(field, "a schedule has a start and an end in five fields, and desiredReplicas")
		return
	}
	schedules, _ := a.spec["schedules"].([]any)
	s := Object{"name": fmt.Sprintf("cron-%d", len(schedules)+1), "start": text(meta, "start"), "end": text(meta, "end"), "minReplicas": n}
	if zone := text(meta, "timezone"); zone != "" {
		s["timeZone"] = zone
	}
	a.spec["schedules"] = append(schedules, s)
	a.mapped(field, "schedules[%s]: minReplicas %d meanwhile", s["name"], n)
}

// external is a trigger of the HTTP add-on, or of somebody else.
func (a *adoption) external(field string, meta Object) {
	for kind, name := range map[string]string{"InterceptorRoute": text(meta, "interceptorRoute"), "HTTPScaledObject": text(meta, "httpScaledObject")} {
		if name == "" {
			continue
		}
		for _, r := range a.beside.Routes {
			if a.here(r) && text(r, "kind") == kind && text(r, "metadata", "name") == name {
				a.mapped(field, "the %s %s, below", kind, name)
				if kind == "InterceptorRoute" {
					a.interceptorRoute(r)
				} else {
					a.httpRoute(r)
				}
				return
			}
		}
		a.left(field, "it names the %s %s, which is not there: give it beside (-f)", kind, name)
		return
	}
	a.left(field, "scalers of others are not asked")
}

// httpScaledObject reads an HTTPScaledObject that has its ScaledObject made.
func (a *adoption) httpScaledObject() error {
	spec := object(a.of, "spec")
	if err := a.scales("spec.scaleTargetRef", object(spec, "scaleTargetRef")); err != nil {
		return err
	}
	least, most := number(spec, "replicas", "min"), int64(kedaMax)
	if n, ok := whole(at(spec, "replicas", "max")); ok {
		most = n
	}
	a.set(fmt.Sprintf("spec.replicas.min: %d", least), least, "minReplicas")
	a.set(fmt.Sprintf("spec.replicas.max: %d", most), most, "maxReplicas")
	a.cooldown(spec, "scaledownPeriod")
	a.initialCooldown(spec)
	a.behavior("spec (the HorizontalPodAutoscaler behind it)", nil)
	a.httpRoute(a.of)
	if object(a.of, "metadata", "annotations")["httpscaledobject.keda.sh/skip-scaledobject-creation"] == "true" {
		a.left("annotation httpscaledobject.keda.sh/skip-scaledobject-creation", "a ScaledObject of yours scales it: adopt that, and this is taken along")
	}
	a.next("Delete the HTTPScaledObject when you apply this, and with it the ScaledObject that was made for it.")
	a.next("Send the clients to the load balancer of Nemesis in place of KEDA's interceptor.")
	return nil
}

// httpRoute is what an HTTPScaledObject says of requests.
func (a *adoption) httpRoute(o Object) {
	spec, name := object(o, "spec"), ""
	if text(o, "metadata", "name") != a.name || text(a.of, "kind") != "HTTPScaledObject" {
		name = "HTTPScaledObject " + text(o, "metadata", "name") + " "
	}
	a.backend(name+"spec.scaleTargetRef", object(spec, "scaleTargetRef"), "service")
	a.unstripped()
	if len(list(spec, "headers")) > 0 {
		a.left(name+"spec.headers", "requests are told apart by host and path, and not by headers: all of these hosts and paths are taken")
	}
	a.address(name+"spec.hosts, spec.pathPrefixes", texts(list(spec, "hosts"), ""), texts(list(spec, "pathPrefixes"), ""))
	switch metric := object(spec, "scalingMetric"); {
	case metric != nil:
		a.demand(name+"spec.scalingMetric", metric)
	case number(spec, "targetPendingRequests") > 0:
		a.set(name+"spec.targetPendingRequests", number(spec, "targetPendingRequests"), "targetConcurrency")
	default:
		a.set(name+"spec.scalingMetric (left out)", int64(100), "targetConcurrency", "its default")
	}
	if d, ok := span(spec, "timeouts", "conditionWait"); ok && d > 0 {
		a.wait(name+"spec.timeouts.conditionWait: "+d.String(), d.Seconds())
	}
	if object(spec, "timeouts")["responseHeader"] != nil {
		a.left(name+"spec.timeouts.responseHeader", "how long a pod may stay silent is the load balancers' setting timeout_seconds, for all")
	}
	if spec["coldStartTimeoutFailoverRef"] != nil {
		a.left(name+"spec.coldStartTimeoutFailoverRef", "no other Service answers in its place")
	}
	if p := object(spec, "placeholderConfig"); p["enabled"] == true {
		a.placeholder(name+"spec.placeholderConfig", number(p, "statusCode"))
	}
}
