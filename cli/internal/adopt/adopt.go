// Package adopt makes a CustomAutoscaler of what scales an application today: a HorizontalPodAutoscaler, a ScaledObject
// of KEDA with its InterceptorRoute, an HTTPScaledObject, a Service of Knative. It says what became of every field, and
// of which nothing did. It is pure: manifests come in and go out as YAML has them.
//
// What another system leaves to its defaults is written out where the defaults differ, so that what was 300 s stays
// 300 s. What cannot be said in a CustomAutoscaler is never approached by guessing: it is told.
package adopt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Object is a manifest.
type Object = map[string]any

// Adoption is what came of it.
type Adoption struct {
	From    string   // what was read, as HorizontalPodAutoscaler shop/cart
	Objects []Object // to apply, in this order; the CustomAutoscaler is the last one
	Mapped  []Field  // what has become of what
	Left    []Field  // of what has become nothing
	Next    []string // what is left to do
}

// Field is a field of what was read, and what became of it or why nothing did.
type Field struct {
	Field string `json:"field"`
	Note  string `json:"note"`
}

// Beside are manifests that say more of the application, and what people say themselves.
type Beside struct {
	Deployments, Services []Object
	// Routes are the InterceptorRoutes and HTTPScaledObjects that a ScaledObject's triggers may name.
	Routes []Object
	// Prefix, Hosts, Service and Port win over what is found.
	Prefix        string
	Hosts         []string
	Service, Port string
}

// Adopt makes a CustomAutoscaler of a manifest.
func Adopt(of Object, beside Beside) (Adoption, error) {
	a := &adoption{of: of, beside: beside, namespace: cmp.Or(text(of, "metadata", "namespace"), "default"), name: text(of, "metadata", "name"), spec: Object{}}
	a.From = fmt.Sprintf("%s %s/%s", text(of, "kind"), a.namespace, a.name)
	if a.name == "" {
		return a.Adoption, fmt.Errorf("%s: metadata.name is missing", a.From)
	}
	version, kind := text(of, "apiVersion"), text(of, "kind")
	group, _, _ := strings.Cut(version, "/")
	var err error
	switch {
	case kind == "HorizontalPodAutoscaler" && group == "autoscaling":
		err = a.hpa()
	case kind == "ScaledObject" && group == "keda.sh":
		err = a.scaledObject()
	case kind == "HTTPScaledObject" && group == "http.keda.sh":
		err = a.httpScaledObject()
	case kind == "Service" && group == "serving.knative.dev":
		err = a.knative()
	case kind == "InterceptorRoute":
		err = fmt.Errorf("an InterceptorRoute says how requests come, and a ScaledObject what is scaled: adopt the ScaledObject, and the route is taken along")
	default:
		err = fmt.Errorf("%s of %s is not known here: a HorizontalPodAutoscaler, ScaledObject, HTTPScaledObject or Knative Service can be adopted", kind, cmp.Or(version, "no apiVersion"))
	}
	if err != nil {
		return a.Adoption, err
	}
	if err := a.finish(); err != nil {
		return a.Adoption, err
	}
	return a.Adoption, nil
}

// adoption is one under way.
type adoption struct {
	Adoption
	of              Object
	beside          Beside
	namespace, name string
	deployment      string
	spec            Object   // the CustomAutoscaler's
	addresses       []target // without one, the namespace's own
	strip           *bool    // stripPrefix; nil: as it is left out
	service, port   string
}

// target is where requests come.
type target struct {
	prefix string
	hosts  []string
}

// set sets a field of the CustomAutoscaler, and says from what.
func (a *adoption) set(from string, v any, to string, why ...string) {
	a.spec[to] = v
	note := fmt.Sprintf("%s: %v", to, v)
	if len(why) > 0 {
		note += "; " + strings.Join(why, "; ")
	}
	a.Mapped = append(a.Mapped, Field{from, note})
}

func (a *adoption) mapped(from, format string, args ...any) {
	a.Mapped = append(a.Mapped, Field{from, fmt.Sprintf(format, args...)})
}

func (a *adoption) left(from, format string, args ...any) {
	a.Left = append(a.Left, Field{from, fmt.Sprintf(format, args...)})
}

func (a *adoption) next(format string, args ...any) {
	a.Next = append(a.Next, fmt.Sprintf(format, args...))
}

// scales takes the reference to what is scaled: a Deployment, or nothing can be done.
func (a *adoption) scales(field string, ref Object) error {
	kind := cmp.Or(text(ref, "kind"), "Deployment")
	if a.deployment = text(ref, "name"); a.deployment == "" {
		return fmt.Errorf("%s: %s.name is missing", a.From, field)
	}
	if kind != "Deployment" {
		return fmt.Errorf("%s scales the %s %s, and Nemesis scales Deployments alone", a.From, kind, a.deployment)
	}
	a.mapped(field+".name: "+a.deployment, "targetDeployments[].name")
	return nil
}

// finish puts the targets together, and the object.
func (a *adoption) finish() error {
	if err := a.reach(); err != nil {
		return err
	}
	if a.beside.Prefix != "" || len(a.beside.Hosts) > 0 {
		a.addresses = []target{{cmp.Or(a.beside.Prefix, "/"+a.namespace+"/"+a.deployment), a.beside.Hosts}}
	}
	if len(a.addresses) == 0 {
		a.addresses = []target{{prefix: "/" + a.namespace + "/" + a.deployment}}
		a.next("Requests come at /%s/%s, which is always the namespace's own, and the Deployment sees what is behind it. --prefix and --host say something else.", a.namespace, a.deployment)
	}
	var targets []any
	for _, at := range merged(a.addresses) {
		t := Object{"name": a.deployment, "apiPrefix": at.prefix, "port": a.port}
		if a.service != "" {
			t["service"] = a.service
		}
		if len(at.hosts) > 0 {
			t["hosts"] = anys(at.hosts)
		}
		if a.strip != nil {
			t["stripPrefix"] = *a.strip
		}
		targets = append(targets, t)
	}
	const most = 16
	if len(targets) > most {
		return fmt.Errorf("%s has %d prefixes; a CustomAutoscaler has at most %d", a.From, len(targets), most)
	}
	a.spec["targetDeployments"] = targets
	a.Objects = append(a.Objects, Object{
		"apiVersion": "autoscaler-group.autoscaler/v1alpha1", "kind": "CustomAutoscaler",
		"metadata": Object{"name": a.name, "namespace": a.namespace}, "spec": a.spec,
	})
	return nil
}

// reach finds the port, and the Service before the Deployment.
func (a *adoption) reach() error {
	if a.beside.Service != "" || a.beside.Port != "" {
		a.service, a.port = cmp.Or(a.beside.Service, a.service), cmp.Or(a.beside.Port, a.port)
	}
	if a.service == "" || a.port == "" {
		a.findService()
	}
	if a.port == "" {
		return fmt.Errorf("%s: on which port requests are answered is not known: say it by --port, and by --service which Service it is of", a.From)
	}
	return nil
}

// findService takes the Service that selects the Deployment's pods, if there is one with one port.
func (a *adoption) findService() {
	template := a.template()
	var found []Object
	for _, s := range a.beside.Services {
		selector := object(s, "spec", "selector")
		if !a.here(s) || len(selector) == 0 || a.service != "" && text(s, "metadata", "name") != a.service {
			continue
		}
		labels := object(template, "metadata", "labels")
		if a.service != "" || matches(selector, labels) {
			found = append(found, s)
		}
	}
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, s := range found {
			names[i] = text(s, "metadata", "name")
		}
		slices.Sort(names)
		a.next("Several Services have its pods (%s): say by --service and --port which it is.", strings.Join(names, ", "))
		return
	}
	if len(found) == 1 {
		a.service = text(found[0], "metadata", "name")
		if ports := list(found[0], "spec", "ports"); len(ports) == 1 && a.port == "" {
			a.port = fmt.Sprint(number(asObject(ports[0]), "port"))
			a.mapped("Service "+a.service, "targetDeployments[].service, port %s", a.port)
		}
		return
	}
	for _, c := range list(template, "spec", "containers") {
		if ports := list(asObject(c), "ports"); len(ports) > 0 && a.port == "" {
			a.port = fmt.Sprint(number(asObject(ports[0]), "containerPort"))
			a.mapped("the pod template's first port", "targetDeployments[].port: %s, of the pod: no Service has its pods", a.port)
		}
	}
}

// here tells whether an object is in the same namespace.
func (a *adoption) here(o Object) bool {
	return cmp.Or(text(o, "metadata", "namespace"), "default") == a.namespace
}

// template is the Deployment's pod template; nil: it is not known.
func (a *adoption) template() Object {
	for _, d := range a.beside.Deployments {
		if a.here(d) && text(d, "metadata", "name") == a.deployment {
			return object(d, "spec", "template")
		}
	}
	return nil
}

// merged has each prefix once, with the hosts of all that name it; one without hosts is for all.
func merged(all []target) []target {
	var out []target
	for _, t := range all {
		i := slices.IndexFunc(out, func(o target) bool { return o.prefix == t.prefix })
		switch {
		case i < 0:
			out = append(out, t)
		case len(out[i].hosts) == 0 || len(t.hosts) == 0:
			out[i].hosts = nil
		default:
			for _, host := range t.hosts {
				if !slices.Contains(out[i].hosts, host) {
					out[i].hosts = append(slices.Clip(out[i].hosts), host)
				}
			}
		}
	}
	return out
}
