package adopt

import (
	"cmp"
	"fmt"
	"math"
)

// hpa reads a HorizontalPodAutoscaler.
func (a *adoption) hpa() error {
	spec := object(a.of, "spec")
	if err := a.scales("spec.scaleTargetRef", object(spec, "scaleTargetRef")); err != nil {
		return err
	}
	least := int64(1)
	if n, ok := whole(spec["minReplicas"]); ok {
		least = n
	}
	a.set(fmt.Sprintf("spec.minReplicas: %d", least), least, "minReplicas")
	if most := number(spec, "maxReplicas"); most > 0 {
		a.set(fmt.Sprintf("spec.maxReplicas: %d", most), most, "maxReplicas")
	}
	metrics := list(spec, "metrics")
	for i, m := range metrics {
		a.metric(fmt.Sprintf("spec.metrics[%d]", i), asObject(m))
	}
	if percent, ok := whole(spec["targetCPUUtilizationPercentage"]); ok { // autoscaling/v1
		a.utilization("spec.targetCPUUtilizationPercentage", "cpu", percent)
	} else if len(metrics) == 0 {
		a.utilization("spec.metrics (left out: 80% of the CPU requests)", "cpu", 80)
	}
	a.behavior("spec.behavior", object(spec, "behavior"))
	a.spec["idleTime"] = int64(300)
	a.mapped("nothing", "idleTime: 300; a HorizontalPodAutoscaler knows no sleep")
	a.next("minReplicas is as it was. With 0 it sleeps after idleTime, and a request wakes it.")
	a.next("Delete the HorizontalPodAutoscaler when you apply this: while it is there it has its way, and Nemesis only wakes the Deployment from zero.")
	a.next("Send the clients to the load balancer of Nemesis: what goes by the Service directly wakes nothing and is not seen.")
	return nil
}

func (a *adoption) metric(field string, m Object) {
	switch kind := text(m, "type"); kind {
	case "Resource":
		r := object(m, "resource")
		name, target := text(r, "name"), object(r, "target")
		if percent, ok := whole(target["averageUtilization"]); ok {
			a.utilization(field, name, percent)
			return
		}
		if v, ok := quantity(target["averageValue"]); ok {
			a.threshold(fmt.Sprintf("%s: %s %v", field, name, target["averageValue"]), name, v)
			return
		}
		a.left(field, "a target of a Resource is averageValue or averageUtilization")
	case "ContainerResource":
		a.left(field, "use is measured by pod, and not by container")
	default:
		a.left(field, "metrics of the kind %s are not read: rules go by what pods use, by requests, and by what model servers say (scalingRules)", cmp.Or(kind, "none"))
	}
}

// utilization is a share of what the pods request, which the Deployment says.
func (a *adoption) utilization(field, resource string, percent int64) {
	template := a.template()
	sum, known := 0.0, len(list(template, "spec", "containers")) > 0
	for _, c := range list(template, "spec", "containers") {
		v, ok := quantity(at(asObject(c), "resources", "requests", resource))
		sum, known = sum+v, known && ok
	}
	from := fmt.Sprintf("%s: %s at %d%% of the requests", field, resource, percent)
	if !known {
		a.left(from, "thresholds are absolute here, and what the pods request is not known: give the Deployment beside it (-f), or set cpuThreshold (millicores) or memoryThreshold (MiB)")
		return
	}
	a.threshold(from, resource, sum*float64(percent)/100)
}

// threshold is a mean per pod: of CPU in cores, of memory in bytes.
func (a *adoption) threshold(from, resource string, v float64) {
	const differs = "above it a pod is added at a time, and far below it one goes; it is no target that is divided by"
	switch resource {
	case "cpu":
		a.set(from, max(int64(math.Round(v*1000)), 1), "cpuThreshold", "millicores", differs)
	case "memory":
		a.set(from, max(int64(math.Round(v/(1<<20))), 1), "memoryThreshold", "MiB", differs)
	default:
		a.left(from, "of resources CPU and memory are measured")
	}
}

// hpaDownSeconds is the stabilization of a HorizontalPodAutoscaler that says none.
const hpaDownSeconds = 300

// behavior is the same in both, but for defaults.
func (a *adoption) behavior(field string, b Object) {
	out := Object{}
	for _, way := range []string{"scaleUp", "scaleDown"} {
		given := object(b, way)
		pace := Object{}
		for _, name := range []string{"stabilizationWindowSeconds", "selectPolicy", "policies"} {
			if v := given[name]; v != nil {
				pace[name] = v
				a.mapped(field+"."+way+"."+name, "behavior.%s.%s, the same", way, name)
			}
		}
		if given["tolerance"] != nil {
			a.left(field+"."+way+".tolerance", "there is none: a threshold is passed or not")
		}
		if way == "scaleDown" && pace["stabilizationWindowSeconds"] == nil {
			pace["stabilizationWindowSeconds"] = int64(hpaDownSeconds)
			a.mapped(field+".scaleDown.stabilizationWindowSeconds (left out)", "behavior.scaleDown.stabilizationWindowSeconds: %d, its default", hpaDownSeconds)
		}
		if len(pace) > 0 {
			out[way] = pace
		}
	}
	a.spec["behavior"] = out
}
