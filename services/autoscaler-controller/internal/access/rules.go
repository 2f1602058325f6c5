package access

import (
	"iter"
	"maps"
	"strings"
)

// Rule says who may call an operation. Of several that fit, one is enough.
type Rule struct {
	// Open lets anybody.
	Open bool
	// Passed is an operation that is passed on to the API server, which judges it by the caller's own token.
	Passed bool
	// Balancers, Collectors, Controllers and Pods let services of this kind; the last only about themselves, which is for
	// whoever reads the call to hold: see Caller.Measures.
	Balancers, Collectors, Controllers, Pods bool
	// People lets who has this right; nil: no people.
	People *Right
	// Where is in which namespaces the right must be.
	Where Where
}

// Where is in which namespaces a right must be.
type Where int

// The places.
const (
	// Everywhere is in all namespaces.
	Everywhere Where = iota
	// Named is in the one that the call names.
	Named
	// Shown is in the one that the call names or, where it names none, in each of those of which it is shown anything.
	Shown
)

func right(verb, subresource string) *Right { return &Right{Verb: verb, Subresource: subresource} }

// rules are those of all operations of the contract, by operationId. A test holds the two together: an operation
// without a row is nobody's.
var rules = map[string]Rule{
	"getLiveness":  {Open: true},
	"getReadiness": {Open: true},
	"getMetrics":   {People: &Right{Verb: Get, Metrics: true}},

	"listCustomAutoscalers":   {Passed: true},
	"createCustomAutoscaler":  {Passed: true},
	"getCustomAutoscaler":     {Passed: true},
	"replaceCustomAutoscaler": {Passed: true},
	"patchCustomAutoscaler":   {Passed: true},
	"deleteCustomAutoscaler":  {Passed: true},

	"watchRoutes":           {Balancers: true, People: right(Get, "routes")},
	"startApplication":      {Balancers: true},
	"wakeApplication":       {People: right(Create, "request"), Where: Named}, // a request would wake it too
	"sleepApplication":      {People: right(Update, ""), Where: Named},
	"previewDecision":       {People: right(Get, "decisions"), Where: Named},
	"reportTraffic":         {Balancers: true},
	"submitPodMetrics":      {Collectors: true, Pods: true},
	"submitPodMetricsBatch": {Collectors: true},
	"getBalancerSettings":   {Balancers: true, People: right(Get, "settings")},
	"putBalancerSettings":   {People: right(Update, "settings")},
	"reviewAccess":          {Balancers: true, Collectors: true},
	"issueCertificate":      {Balancers: true, Collectors: true},
	"getIdentityKeys":       {Balancers: true, Collectors: true, Pods: true},

	"getApplicationHistory": {People: right(Get, ""), Where: Named},

	"getReport": {Controllers: true, People: right(List, ""), Where: Shown}, // who sends one on all shards asks for it

	"listPods":         {People: right(List, ""), Where: Shown},
	"listMetrics":      {People: right(List, ""), Where: Shown},
	"listApplications": {People: right(List, ""), Where: Shown},
	"getApplication":   {People: right(Get, ""), Where: Named},
	"getRights":        {People: right(List, ""), Where: Shown},
	"watchEvents":      {People: right(List, ""), Where: Shown}, // a list of applications has their last decisions too
	// Load balancers ship these with their log.
	"listDecisions": {Balancers: true, People: right(List, "decisions"), Where: Shown},
	"listChanges":   {Balancers: true, People: right(List, "changes"), Where: Shown},
	"reportChanges": {Controllers: true},
}

// Of is the rule of an operation; false: there is none.
func Of(operation string) (Rule, bool) {
	rule, known := rules[operation]
	return rule, known
}

// All are the rules of all operations.
func All() iter.Seq2[string, Rule] { return maps.All(rules) }

// betweenReplicas tells whether it is for the controller's replicas alone.
func (r Rule) betweenReplicas() bool { return r.Controllers && r.People == nil }

// For is for whom an operation is, in words.
func (r Rule) For() string {
	var of []string
	if r.Balancers {
		of = append(of, "load balancers")
	}
	if r.Collectors {
		of = append(of, "collectors")
	}
	if r.Controllers {
		of = append(of, "the controller's replicas")
	}
	if r.Pods {
		of = append(of, "pods, each for itself")
	}
	if r.People != nil {
		of = append(of, "people who may "+r.People.Verb+" "+r.People.Resource())
	}
	if len(of) < 2 {
		return strings.Join(of, "")
	}
	return strings.Join(of[:len(of)-1], ", ") + " and " + of[len(of)-1]
}
