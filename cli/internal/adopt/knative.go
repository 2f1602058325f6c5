package adopt

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// What Knative takes where nothing is said.
const (
	knativeWindow      = 60 * time.Second
	knativeConcurrency = 100.0
	knativeRate        = 200.0
	knativeUse         = 70.0 // percent of the target
	knativePort        = 8080
)

// knative reads a Service of Knative. The Deployments of its revisions are Knative's own, so a plain Deployment and a
// plain Service are written in their place.
func (a *adoption) knative() error {
	template := object(a.of, "spec", "template")
	pod := object(template, "spec")
	containers := list(pod, "containers")
	if len(containers) == 0 {
		return fmt.Errorf("%s: spec.template.spec.containers is missing", a.From)
	}
	a.deployment = a.name
	annotations := object(template, "metadata", "annotations")
	say := func(names ...string) (string, string) {
		for _, name := range names {
			if v := annotations["autoscaling.knative.dev/"+name]; v != nil {
				return "annotation autoscaling.knative.dev/" + name, fmt.Sprint(v)
			}
		}
		return "", ""
	}
	known := []string{"min-scale", "minScale", "max-scale", "maxScale", "target", "metric", "target-utilization-percentage", "targetUtilizationPercentage", "window", "scale-to-zero-pod-retention-period", "class", "scale-down-delay"}
	most := int64(0)
	if field, v := say("min-scale", "minScale"); field != "" {
		least, _ := whole(v)
		a.set(field+": "+v, least, "minReplicas")
	}
	if field, v := say("max-scale", "maxScale"); field != "" {
		if most, _ = whole(v); most > 0 {
			a.set(field+": "+v, most, "maxReplicas")
		}
	}
	if most == 0 {
		a.set("annotation autoscaling.knative.dev/max-scale (left out: no limit)", int64(100), "maxReplicas", "there is always a limit; choose yours")
	}
	limit := number(pod, "containerConcurrency")
	if limit > 0 {
		a.set(fmt.Sprintf("spec.template.spec.containerConcurrency: %d", limit), limit, "containerConcurrency")
	}
	a.knativeTarget(say, limit)
	window := knativeWindow
	if field, v := say("window"); field != "" {
		if d, err := time.ParseDuration(v); err == nil {
			window = d
		}
		a.left(field, "demand is averaged over 10 s and over 60 s, always; it counts for idleTime")
	}
	idle := window
	if field, v := say("scale-to-zero-pod-retention-period"); field != "" {
		if d, err := time.ParseDuration(v); err == nil {
			idle += d
		}
	}
	a.set("window and scale-to-zero-pod-retention-period", max(int64(math.Ceil(idle.Seconds())), 1), "idleTime", "seconds without traffic")
	if field, v := say("scale-down-delay"); field != "" {
		if d, err := time.ParseDuration(v); err == nil && d > 0 {
			a.spec["behavior"] = Object{"scaleDown": Object{"stabilizationWindowSeconds": int64(math.Ceil(d.Seconds()))}}
			a.mapped(field+": "+v, "behavior.scaleDown.stabilizationWindowSeconds")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if short, ours := strings.CutPrefix(name, "autoscaling.knative.dev/"); ours && !slices.Contains(known, short) {
			a.left("annotation "+name, "there is nothing of the kind")
		}
	}
	a.knativeRoute(pod)
	a.plain(template, pod, containers)
	return nil
}

// knativeTarget is by what a revision is scaled.
func (a *adoption) knativeTarget(say func(...string) (string, string), limit int64) {
	field, said := say("target")
	target, given := float(said)
	metricField, metric := say("metric")
	use := knativeUse
	if f, v := say("target-utilization-percentage", "targetUtilizationPercentage"); f != "" {
		if percent, ok := float(v); ok && percent > 0 {
			use = percent
		}
	}
	from := cmp.Or(field, "annotation autoscaling.knative.dev/target (left out)")
	switch metric {
	case "", "concurrency":
		if !given {
			if target = knativeConcurrency; limit > 0 {
				target = float64(limit)
			}
		} else if limit > 0 {
			target = min(target, float64(limit))
		}
		a.set(fmt.Sprintf("%s: %v, %v%% of it", from, target, use), tidy(target*use/100), "targetConcurrency")
	case "rps":
		if !given {
			target = knativeRate
		}
		a.set(fmt.Sprintf("%s: %v, %v%% of it", from, target, use), tidy(target*use/100), "targetRequestRate")
	case "cpu":
		if given {
			a.left(from, "it is a share of the CPU requests; set cpuThreshold, in millicores")
		}
	case "memory":
		if given {
			a.threshold(fmt.Sprintf("%s: %v Mi", from, target), "memory", target*(1<<20))
		}
	default:
		a.left(metricField, "%s is not measured", metric)
	}
}

// knativeRoute is where requests come.
func (a *adoption) knativeRoute(pod Object) {
	a.strip = new(false)
	_, host, _ := strings.Cut(text(a.of, "status", "url"), "://")
	if host, _, _ = strings.Cut(host, "/"); host != "" {
		a.address("status.url", []string{host}, nil)
	} else {
		a.next("Under which host Knative served it is not known (status.url): say it by --host. Until then it is at /%s/%s.", a.namespace, a.name)
	}
	if traffic := list(a.of, "spec", "traffic"); len(traffic) > 1 {
		a.left("spec.traffic", "traffic is not divided among revisions; a rollout of the Deployment goes as Kubernetes does it")
	}
	if number(pod, "timeoutSeconds") > 0 {
		a.left("spec.template.spec.timeoutSeconds", "how long a pod may stay silent is the load balancers' setting timeout_seconds, for all")
	}
}

// ofKnative are the fields of a revision's pod that a plain pod does not have.
var ofKnative = []string{"containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"}

// plain writes the Deployment and the Service.
func (a *adoption) plain(template, pod Object, containers []any) {
	port, protocol := int64(knativePort), ""
	copied := make([]any, 0, len(containers))
	for _, c := range containers {
		container := maps.Clone(asObject(c))
		if container["name"] == nil {
			container["name"] = "user-container"
		}
		if ports := list(container, "ports"); len(ports) > 0 || len(containers) == 1 {
			if len(ports) > 0 {
				port, protocol = max(number(asObject(ports[0]), "containerPort"), 1), text(asObject(ports[0]), "name")
			}
			container["ports"] = []any{Object{"containerPort": port}}
			env := append(slices.Clone(list(container, "env")), Object{"name": "PORT", "value": fmt.Sprint(port)})
			container["env"] = env
			if probe := object(container, "readinessProbe"); probe != nil {
				container["readinessProbe"] = probed(probe, port)
			}
		}
		copied = append(copied, container)
	}
	spec := maps.Clone(pod)
	for _, name := range ofKnative {
		delete(spec, name)
	}
	spec["containers"] = copied
	labels := Object{"app": a.name}
	maps.Copy(labels, object(template, "metadata", "labels"))
	meta := Object{"labels": labels}
	if rest := maps.Clone(object(template, "metadata", "annotations")); rest != nil {
		maps.DeleteFunc(rest, func(name string, _ any) bool { return strings.Contains(name, "knative.dev/") })
		if len(rest) > 0 {
			meta["annotations"] = rest
		}
	}
	a.service, a.port = a.name+"-plain", "80"
	servicePort := Object{"port": int64(80), "targetPort": port}
	if protocol == "h2c" {
		servicePort["appProtocol"] = "kubernetes.io/h2c"
		a.mapped("the port's name h2c", "the Service's appProtocol: kubernetes.io/h2c")
	}
	named := Object{"name": a.name, "namespace": a.namespace}
	a.Objects = append(a.Objects,
		Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": Object{
			"selector": Object{"matchLabels": Object{"app": a.name}}, "template": Object{"metadata": meta, "spec": spec},
		}},
		Object{"apiVersion": "v1", "kind": "Service", "metadata": Object{"name": a.service, "namespace": a.namespace}, "spec": Object{
			"selector": Object{"app": a.name}, "ports": []any{servicePort},
		}})
	a.mapped("spec.template", "a plain Deployment %s, with PORT=%d in its environment, and a plain Service %s: the name %s is Knative's until its Service is deleted", a.name, port, a.service, a.name)
	a.left("K_SERVICE, K_REVISION, K_CONFIGURATION", "these variables are Knative's; set what the program needs of them")
	a.next("Send the clients to the load balancer of Nemesis, and delete the Service of Knative when nothing comes there any more.")
}

// probed is a readiness check with the port that Knative would have put in.
func probed(probe Object, port int64) Object {
	probe = maps.Clone(probe)
	for _, way := range []string{"httpGet", "tcpSocket", "grpc"} {
		if check := maps.Clone(object(probe, way)); check != nil {
			if number(check, "port") == 0 && text(check, "port") == "" {
				check["port"] = port
			}
			probe[way] = check
		}
	}
	return probe
}
