// Package rights says what a caller of the admin port must be allowed, operation by operation of the
// contract. Who is, others say.
package rights

import "maps"

// Kind is what an operation asks of its caller.
type Kind int

// The kinds.
const (
	// Open operations are everybody's.
	Open Kind = iota
	// Whole ones are about all that there is: the right must hold in all namespaces.
	Whole
	// List ones show what of it the caller may see.
	List
	// Target ones are about one application: the right must hold in its namespace.
	Target
)

// Right is a verb on a resource, as Kubernetes has both.
type Right struct {
	Kind     Kind
	Verb     string
	Resource string
}

// The resources: the path /metrics, and subresources of our own.
const (
	Metrics  = "metrics"
	Settings = "customautoscalers/settings"
	State    = "customautoscalers/state"
	Logs     = "customautoscalers/logs"
	Request  = "customautoscalers/request"
)

const group = ".autoscaler-group.autoscaler"

// String is the right in words.
func (r Right) String() string {
	if r.Resource == Metrics {
		return r.Verb + " /metrics"
	}
	return r.Verb + " " + r.Resource + group
}

// operations has a row for each operation of api/loadbalancer.yaml, by its operationId.
var operations = map[string]Right{
	"getLiveness":  {Kind: Open},
	"getReadiness": {Kind: Open},
	"getMetrics":   {Whole, "get", Metrics},

	"getState":    {List, "list", State},
	"listWaiting": {List, "list", Logs}, // it shows of requests what the log does
	"getSettings": {Whole, "get", Settings},
	"putSettings": {Whole, "update", Settings},

	"proxyRequest":    {Target, "create", Request},
	"listProxyLogs":   {List, "list", Logs},
	"queryTargetApp":  {Target, "create", Request},
	"actOnTargetApp":  {Target, "create", Request},
	"updateTargetApp": {Target, "create", Request},
	"changeTargetApp": {Target, "create", Request},
}

// Of is what an operation asks; false when it has no row, and so is nobody's.
func Of(operation string) (Right, bool) {
	r, ok := operations[operation]
	return r, ok
}

// Operations are all that have a row.
func Operations() map[string]Right {
	return maps.Clone(operations)
}
