package adopt

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

var (
	prefixes  = regexp.MustCompile(`^(/|(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)$`)
	hostNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
)

// address adds where requests come: every prefix for every host.
func (a *adoption) address(field string, hosts, paths []string) {
	var named []string
	everybody := len(hosts) == 0
	for _, host := range hosts {
		switch lower := strings.ToLower(host); {
		case host == "*":
			everybody = true
		case !hostNames.MatchString(lower):
			a.left(field+" host "+host, "hosts are named one by one, without wildcards")
		default:
			named = append(named, lower)
		}
	}
	if len(named) == 0 && !everybody {
		return // only hosts that cannot be named: a prefix for all would take what others have
	}
	if everybody {
		named = nil
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	const most = 16
	if len(named) > most {
		a.left(field+" hosts", "of %d hosts a target has the first %d", len(named), most)
		named = named[:most]
	}
	for _, path := range paths {
		prefix := "/" + strings.Trim(path, "/")
		if !prefixes.MatchString(prefix) {
			a.left(field+" path "+path, "not a prefix that a target may have: letters, digits and ._~- between slashes")
			continue
		}
		a.addresses = append(a.addresses, target{prefix, named})
		said := "every host"
		if len(named) > 0 {
			said = strings.Join(named, ", ")
		}
		a.mapped(fmt.Sprintf("%s %s", field, path), "targetDeployments[]: apiPrefix %s for %s", prefix, said)
	}
}

// unstripped is how the others pass paths on: whole.
func (a *adoption) unstripped() {
	a.strip = new(false)
	a.mapped("paths are passed on whole", "targetDeployments[].stripPrefix: false")
}

// backend is the Service that requests go to.
func (a *adoption) backend(field string, ref Object, service string) {
	if a.service != "" {
		return // of several the first one
	}
	a.service = text(ref, service)
	switch {
	case text(ref, "portName") != "":
		a.port = text(ref, "portName")
	case number(ref, "port") > 0:
		a.port = fmt.Sprint(number(ref, "port"))
	}
	a.mapped(field, "targetDeployments[].service: %s, port: %q", a.service, a.port)
}

// demand is by which requests are scaled, per pod.
func (a *adoption) demand(field string, metric Object) {
	if c := object(metric, "concurrency"); c != nil {
		if v, ok := float(c["targetValue"]); ok && v > 0 {
			a.set(fmt.Sprintf("%s.concurrency.targetValue: %v", field, v), tidy(v), "targetConcurrency", "requests that work and wait, per pod")
		}
	}
	if r := object(metric, "requestRate"); r != nil {
		if v, ok := float(r["targetValue"]); ok && v > 0 {
			a.set(fmt.Sprintf("%s.requestRate.targetValue: %v", field, v), tidy(v), "targetRequestRate", "requests a second, per pod")
		}
		for _, name := range []string{"window", "granularity"} {
			if r[name] != nil {
				a.left(field+".requestRate."+name, "rates are averaged over 10 s and over 60 s, always")
			}
		}
	}
}

// wait is how long a request waits for the first pod.
func (a *adoption) wait(field string, seconds float64) {
	n := max(int64(math.Ceil(seconds)), 1)
	const most, usual = 3600, 120
	if n > most {
		a.left(field, "a request waits for at most %d s; it is %d s", most, n)
		n = most
	}
	a.set(field, n, "startTimeout", "seconds; then 503 with Retry-After")
	if n > usual {
		a.spec["wakeUpTimeout"] = n
	}
}

// placeholder is what clients get while they would wait.
func (a *adoption) placeholder(field string, status int64) {
	a.set(field, "Page", "whileWaiting", "a page of Nemesis' own, which loads itself again, for browsers; others wait")
	a.left(field, "its own text, headers and status (%d) are not taken over", status)
}

func texts(l []any, name string) []string {
	var out []string
	for _, v := range l {
		if s, ok := v.(string); ok {
			out = append(out, s)
		} else if s := text(asObject(v), name); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// interceptorRoute reads the route of a ScaledObject.
func (a *adoption) interceptorRoute(r Object) {
	name := "InterceptorRoute " + text(r, "metadata", "name") + " "
	spec := object(r, "spec")
	a.backend(name+"spec.target", object(spec, "target"), "service")
	a.unstripped()
	rules := list(spec, "rules")
	for i, rule := range rules {
		field := fmt.Sprintf("%sspec.rules[%d]", name, i)
		if len(list(asObject(rule), "headers")) > 0 {
			a.left(field, "requests are told apart by host and path, and not by headers")
			continue
		}
		a.address(field, texts(list(asObject(rule), "hosts"), ""), texts(list(asObject(rule), "paths"), "value"))
	}
	if len(rules) == 0 {
		a.address(name+"spec.rules (left out)", nil, nil)
	}
	a.demand(name+"spec.scalingMetric", object(spec, "scalingMetric"))
	if p := object(spec, "coldStart", "placeholder"); p != nil {
		a.placeholder(name+"spec.coldStart.placeholder", number(p, "response", "statusCode"))
	}
	if object(spec, "coldStart", "fallback") != nil {
		a.left(name+"spec.coldStart.fallback", "no other Service answers in its place")
	}
	if d, ok := span(spec, "timeouts", "readiness"); ok && d > 0 {
		a.wait(name+"spec.timeouts.readiness: "+d.String(), d.Seconds())
	}
	for _, other := range []string{"request", "responseHeader"} {
		if object(spec, "timeouts")[other] != nil {
			a.left(name+"spec.timeouts."+other, "how long a pod may stay silent is the load balancers' setting timeout_seconds, for all")
		}
	}
	for i, route := range list(spec, "staticRoutes") {
		a.staticRoute(fmt.Sprintf("%sspec.staticRoutes[%d]", name, i), asObject(route))
	}
}

// staticRoute is for requests that do not count, if it is simple enough.
func (a *adoption) staticRoute(field string, route Object) {
	status := number(route, "response", "statusCode")
	if status == 0 {
		status = 200
	}
	var paths []string
	for _, rule := range list(route, "rules") {
		paths = append(paths, texts(list(asObject(rule), "paths"), "value")...)
		if len(list(asObject(rule), "hosts"))+len(list(asObject(rule), "headers")) > 0 {
			paths = nil
			break
		}
	}
	if text(route, "responseMode") == "Always" || status != 200 && status != 503 || len(paths) == 0 {
		a.left(field, "requests that do not count are told by path alone, and answered 200 or 503 only while no pod serves (uncountedRequests)")
		return
	}
	for i, path := range paths {
		paths[i] = "/" + strings.Trim(path, "/") + "*"
	}
	have, _ := a.spec["uncountedRequests"].([]any)
	a.spec["uncountedRequests"] = append(have, Object{"paths": anys(paths), "statusWhileAsleep": status})
	a.mapped(field, "uncountedRequests: %s, answered %d while no pod serves; paths are those behind apiPrefix", strings.Join(paths, ", "), status)
}
