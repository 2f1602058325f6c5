// Package access decides who may call which operation of the controller's API. It holds the table of the
// operations, one row each, the kinds of callers, and the words of a refusal. Whose a token is, and what the
// Kubernetes API server says of a person's rights, is found out elsewhere: see guard.
//
// Two kinds of callers have two kinds of rights. A service is what its service account and its pod make it, by the
// table alone; a person may what the API server's own rules (RBAC) say of the custom resource and of its
// subresources. No caller is ever lent the rights of the controller, and no service those of a person.
package access

// Kind is what sort of a caller one is.
type Kind int

// The kinds.
const (
	// Unnamed has no token.
	Unnamed Kind = iota
	// Service has a token for our own audience.
	Service
	// Person has a token that the Kubernetes API server takes: people, and programs that do what people do.
	Person
)

// Account is a service account.
type Account struct{ Namespace, Name string }

// Caller is who calls.
type Caller struct {
	Kind Kind
	// Name is the user's, as Kubernetes has it; "" of one without a token.
	Name string
	// Account, Pod, its uid and Node are a service's; "" where the token does not say.
	Account           Account
	Pod, PodUID, Node string
	// Balancer, Collector and Controller are what its account makes a service.
	Balancer, Collector, Controller bool
}

// Measures tells whether the caller may say what a pod uses: a pod of itself, a collector of all.
func (c *Caller) Measures(namespace, pod string) bool {
	switch {
	case c.Kind == Unnamed, c.Collector: // who has no token was let in where none is asked for
		return true
	case c.Kind != Service:
		return false
	}
	return c.Pod != "" && c.Pod == pod && c.Account.Namespace == namespace
}

// Reaches tells whether the caller may say what a pod on a node uses: a collector is for the pods of its own node. "" is a
// node that is not known.
func (c *Caller) Reaches(node string) bool {
	return !c.Collector || c.Node == "" || node == "" || node == c.Node
}

// SpeaksFor tells whether the caller may speak as the load balancer of this name: that of its pod.
func (c *Caller) SpeaksFor(balancer string) bool {
	return c.Kind == Unnamed || c.Balancer && c.Pod != "" && c.Pod == balancer
}

// SeesProbeHeaders tells whether the caller gets the headers of pods' probes, which may hold secrets.
func (c *Caller) SeesProbeHeaders() bool { return c.Kind == Unnamed || c.Balancer }

// The verbs of a right.
const (
	Get    = "get"
	List   = "list"
	Create = "create"
	Update = "update"
)

// Right is one to the custom resource, or to a subresource of it.
type Right struct {
	Verb        string
	Subresource string // "": the resource itself
	// Metrics is the right to the path /metrics, of which Verb is the verb.
	Metrics bool
}

const resource = "customautoscalers"

// Resource is what the right is to, as people write it.
func (r Right) Resource() string {
	switch {
	case r.Metrics:
		return "/metrics"
	case r.Subresource != "":
		return resource + "/" + r.Subresource
	}
	return resource
}

// String is the right in words.
func (r Right) String() string { return r.In("") }

// In is the right in words, in a namespace; in all of them where that is "".
func (r Right) In(namespace string) string {
	text := r.Verb + " " + r.Resource()
	switch {
	case r.Metrics:
		return text
	case namespace == "":
		return text + ".autoscaler-group.autoscaler in all namespaces"
	}
	return text + ".autoscaler-group.autoscaler in the namespace " + namespace
}
