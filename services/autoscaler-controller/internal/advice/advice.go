// Package advice says of a CustomAutoscaler what its schema cannot: that what it names does not fit what there
// is in the cluster. It is pure: what was read in, warnings out.
//
// All of it are warnings, because all of it may become right later: what is applied together comes in some order,
// and a Service or a Deployment may follow. What can never be right, the API server is told to refuse; that is of
// the object alone, and contract's to say.
package advice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Object is a CustomAutoscaler as far as there is something to say of it.
type Object struct {
	Concurrency int32    // containerConcurrency
	Refused     []string // why it would not have some of its targets
	Targets     []Target
}

// Target is one of its targets, and what is known of what it names.
type Target struct {
	Deployment string
	Service    string // "": none
	Port       Port
	Pods       *Pods  // nil: the Deployment is not there
	Leads      *Leads // nil: the Service is not there
}

// Port is a port by its number or, where that is 0, its name.
type Port struct {
	Number int32
	Name   string
}

func (p Port) String() string {
	if p.Number == 0 {
		return p.Name
	}
	return fmt.Sprint(p.Number)
}

// Pods is what a Deployment's template says.
type Pods struct {
	Labels map[string]string // nil: not known
	Ports  []Named           // of its containers
	GPU    string            // the resource by which a container has one; "": none has
}

// Named is a port of a container, or where a port of a Service leads.
type Named struct {
	Number int32
	Name   string
}

// Leads is where a Service leads.
type Leads struct {
	Selector map[string]string // none: its endpoints are somebody else's to say
	Ports    []ServicePort
}

// ServicePort is a port of a Service. The port of the pod is a number or a name.
type ServicePort struct {
	Named
	Target Port
}

// The bounds of what is said: the API server cuts what is longer.
const (
	most    = 8
	longest = 250
)

// Warnings are what there is to say, in the order of the targets. A Deployment or a Service that is not there is
// none of it: it may come a moment later out of the same file, and else a condition says it.
func Warnings(o Object) []string {
	var list []string
	say := func(format string, args ...any) {
		if text := cut(fmt.Sprintf(format, args...)); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	for _, text := range o.Refused {
		say("%s", text)
	}
	for i, t := range o.Targets {
		field := fmt.Sprintf("spec.targetDeployments[%d]", i)
		if t.Pods != nil && t.Pods.GPU != "" && o.Concurrency == 0 {
			say("spec.containerConcurrency: pods of the Deployment %s have a limit of %s, and none for the requests that one pod works on at a time", t.Deployment, t.Pods.GPU)
		}
		if t.Service != "" {
			ofService(t, field, say)
		} else if t.Pods != nil {
			ofPort(t.Port, t, field+".port", "", say)
		}
	}
	if len(list) > most {
		list = append(list[:most-1], fmt.Sprintf("and %d more", len(list)-most+1))
	}
	return list
}

func ofService(t Target, field string, say func(string, ...any)) {
	if t.Leads == nil {
		return
	}
	if t.Pods != nil && t.Pods.Labels != nil && len(t.Leads.Selector) > 0 {
		if key, misses := missed(t.Leads.Selector, t.Pods.Labels); misses {
			say("%s.service: the Service %s does not select the pods of the Deployment %s: they have no label %s=%s", field, t.Service, t.Deployment, key, t.Leads.Selector[key])
			return
		}
	}
	at := slices.IndexFunc(t.Leads.Ports, func(p ServicePort) bool {
		return t.Port.Number != 0 && p.Number == t.Port.Number || t.Port.Number == 0 && p.Name == t.Port.Name
	})
	if at < 0 {
		have := make([]Named, 0, len(t.Leads.Ports))
		for _, p := range t.Leads.Ports {
			have = append(have, p.Named)
		}
		say("%s.port: the Service %s has no port %s (it has %s)", field, t.Service, t.Port, listed(have))
		return
	}
	if t.Pods != nil {
		ofPort(t.Leads.Ports[at].Target, t, field+".port", fmt.Sprintf(", to which the Service %s leads", t.Service), say)
	}
}

// ofPort says that no container has a port. Where none names any, a number may be right all the same.
func ofPort(p Port, t Target, field, whence string, say func(string, ...any)) {
	if p.Number != 0 && len(t.Pods.Ports) == 0 || slices.ContainsFunc(t.Pods.Ports, func(n Named) bool {
		return p.Number != 0 && n.Number == p.Number || p.Number == 0 && n.Name == p.Name
	}) {
		return
	}
	say("%s: no container of the Deployment %s has the port %s%s (they have %s)", field, t.Deployment, p, whence, listed(t.Pods.Ports))
}

// missed is the first label, in order, that a selector wants and is not there.
func missed(selector, labels map[string]string) (key string, misses bool) {
	for k, v := range selector {
		if have, there := labels[k]; (!there || have != v) && (!misses || k < key) {
			key, misses = k, true
		}
	}
	return key, misses
}

func listed(ports []Named) string {
	if len(ports) == 0 {
		return "none"
	}
	words := make([]string, 0, len(ports))
	for _, p := range slices.SortedFunc(slices.Values(ports), func(a, b Named) int { return cmp.Compare(a.Number, b.Number) }) {
		word := fmt.Sprint(p.Number)
		if p.Name != "" {
			word += " " + p.Name
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func cut(text string) string {
	if len(text) <= longest {
		return text
	}
	end := longest - len("…")
	for end > 0 && text[end]&0xC0 == 0x80 { // not within a character
		end--
	}
	return text[:end] + "…"
}
