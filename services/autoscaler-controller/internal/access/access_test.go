package access

import (
	"strings"
	"testing"
)

// The callers that there are.
var callers = map[string]*Caller{
	"nobody":     {},
	"pod":        {Kind: Service, Name: "system:serviceaccount:shop:default", Account: Account{"shop", "default"}, Pod: "cart-1"},
	"unbound":    {Kind: Service, Name: "system:serviceaccount:shop:default", Account: Account{"shop", "default"}},
	"balancer":   {Kind: Service, Name: "system:serviceaccount:nemesis-system:load-balancer", Account: Account{"nemesis-system", "load-balancer"}, Pod: "lb-1", Balancer: true},
	"collector":  {Kind: Service, Name: "system:serviceaccount:nemesis-system:metrics-collector", Account: Account{"nemesis-system", "metrics-collector"}, Pod: "c-1", Collector: true},
	"controller": {Kind: Service, Name: "system:serviceaccount:nemesis-system:autoscaler-controller", Account: Account{"nemesis-system", "autoscaler-controller"}, Pod: "r-1", Controller: true},
	"person":     {Kind: Person, Name: "jane"},
}

var order = []string{"nobody", "pod", "unbound", "balancer", "collector", "controller", "person"}

// expected is each operation with what each kind of caller gets, in the order above: y(es), n(o), ? (who are you),
// a(sked of the API server), s(hown what it may see).
var expected = map[string]string{
	"getLiveness":  "yyyyyyy",
	"getReadiness": "yyyyyyy",
	"getMetrics":   "?nnnnna",

	"listCustomAutoscalers":   "yyyyyyy", // the API server judges
	"createCustomAutoscaler":  "yyyyyyy",
	"getCustomAutoscaler":     "yyyyyyy",
	"replaceCustomAutoscaler": "yyyyyyy",
	"patchCustomAutoscaler":   "yyyyyyy",
	"deleteCustomAutoscaler":  "yyyyyyy",

	"watchRoutes":           "?nnynna",
	"startApplication":      "?nnynnn",
	"wakeApplication":       "?nnnnna",
	"sleepApplication":      "?nnnnna",
	"previewDecision":       "?nnnnna",
	"reportTraffic":         "?nnynnn",
	"submitPodMetrics":      "?ynyyyn",
	"submitPodMetricsBatch": "?nnnynn",
	"getBalancerSettings":   "?nnynna",
	"putBalancerSettings":   "?nnnnna",
	"reviewAccess":          "?nnyynn",
	"issueCertificate":      "?nnyynn",
	"getIdentityKeys":       "?ynyyyn",

	"getApplicationHistory": "?nnnnna",
	"getReport":             "?nnnnys",
	"getRights":             "?nnnnns",
	"watchEvents":           "?nnnnns",
	"listPods":              "?nnnnns",
	"listMetrics":           "?nnnnns",
	"listApplications":      "?nnnnns",
	"getApplication":        "?nnnnna",
	"listDecisions":         "?nnynns",
	"listChanges":           "?nnynns",
	"reportChanges":         "?nnnnyn",
}

func letter(d Decision) string {
	switch {
	case d.Verdict == Allowed:
		return "y"
	case d.Verdict == Unknown:
		return "?"
	case d.Narrows:
		return "s"
	case d.Verdict == Asked:
		return "a"
	}
	return "n"
}

func TestDecide_EachKindOfCallerByEachOperation(t *testing.T) {
	for operation, rule := range All() {
		got := ""
		for _, name := range order {
			d := Decide(rule, callers[name], "", false)
			got += letter(d)
			if refused := d.Verdict == Refused || d.Verdict == Unknown; refused != (d.Reason != "") {
				t.Errorf("%s by %s: %v has the reason %q", operation, name, d.Verdict, d.Reason)
			}
		}
		if want := expected[operation]; got != want {
			t.Errorf("%s: %q for %v, want %q", operation, got, order, want)
		}
	}
	for operation := range expected {
		if _, known := Of(operation); !known {
			t.Errorf("%s has no rule", operation)
		}
	}
}

func TestDecide_OptionalLetsOnlyThoseWithoutAToken(t *testing.T) {
	for operation, rule := range All() {
		want := Allowed
		if operation == "reportChanges" { // what a controller of 0.1.0 never does
			want = Unknown
		}
		if d := Decide(rule, callers["nobody"], "shop", true); d.Verdict != want {
			t.Errorf("%s: nobody is %v", operation, d)
		}
		for _, name := range order[1:] {
			if with, without := Decide(rule, callers[name], "shop", true), Decide(rule, callers[name], "shop", false); with != without {
				t.Errorf("%s by %s: %v where tokens are optional, %v where not", operation, name, with, without)
			}
		}
	}
}

func TestDecide_AsksInTheNamespaceThatIsNamed(t *testing.T) {
	for operation, want := range map[string]Decision{
		"listPods":            {Verdict: Asked, Right: Right{Verb: List}, Namespace: "shop"},
		"getApplication":      {Verdict: Asked, Right: Right{Verb: Get}, Namespace: "shop"},
		"listDecisions":       {Verdict: Asked, Right: Right{Verb: List, Subresource: "decisions"}, Namespace: "shop"},
		"putBalancerSettings": {Verdict: Asked, Right: Right{Verb: Update, Subresource: "settings"}}, // of all, whatever is named
		"watchRoutes":         {Verdict: Asked, Right: Right{Verb: Get, Subresource: "routes"}},
		"getMetrics":          {Verdict: Asked, Right: Right{Verb: Get, Metrics: true}},
	} {
		rule, _ := Of(operation)
		if got := Decide(rule, callers["person"], "shop", false); got != want {
			t.Errorf("%s: %+v, want %+v", operation, got, want)
		}
	}
}

func TestDecide_SaysForWhomItIsAndWhoCalls(t *testing.T) {
	for _, c := range []struct {
		operation, caller string
		want              []string
	}{
		{"startApplication", "nobody", []string{"for load balancers", "Authorization", "Nemesis-Authorization", "Bearer TOKEN"}},
		{"startApplication", "pod", []string{"for load balancers", "system:serviceaccount:shop:default is the pod cart-1"}},
		{"reportTraffic", "person", []string{"for load balancers", "audience nemesis", "jane has another token"}},
		{"submitPodMetrics", "unbound", []string{"collectors and pods, each for itself", "token is of no pod"}},
		{"listPods", "balancer", []string{"people who may list customautoscalers", "is a load balancer", "for the Kubernetes API server"}},
		{"watchRoutes", "collector", []string{"load balancers and people who may get customautoscalers/routes", "is a collector"}},
	} {
		rule, _ := Of(c.operation)
		for _, want := range c.want {
			if got := Decide(rule, callers[c.caller], "", false).Reason; !strings.Contains(got, want) {
				t.Errorf("%s by %s: %q does not say %q", c.operation, c.caller, got, want)
			}
		}
	}
}

func TestCaller_SpeaksForItselfAlone(t *testing.T) {
	for name, want := range map[string]struct{ own, others, otherNamespace, balancer, otherBalancer, headers bool }{
		"nobody":    {true, true, true, true, true, true}, // who was let in without a token is one of before
		"pod":       {own: true},
		"unbound":   {},
		"balancer":  {balancer: true, headers: true},
		"collector": {own: true, others: true, otherNamespace: true},
		"person":    {},
	} {
		c := callers[name]
		got := []bool{
			c.Measures("shop", "cart-1"), c.Measures("shop", "cart-2"), c.Measures("other", "cart-1"),
			c.SpeaksFor("lb-1"), c.SpeaksFor("lb-2"), c.SeesProbeHeaders(),
		}
		for i, w := range []bool{want.own, want.others, want.otherNamespace, want.balancer, want.otherBalancer, want.headers} {
			if got[i] != w {
				t.Errorf("%s: the answers are %v, want %+v", name, got, want)
				break
			}
		}
	}
	if (&Caller{Kind: Service, Account: Account{Namespace: "shop"}}).Measures("shop", "") {
		t.Error("who has no pod measures the pod without a name")
	}
	if (&Caller{Kind: Service, Balancer: true}).SpeaksFor("") {
		t.Error("a load balancer of no pod speaks for the one without a name")
	}
}

func TestRight_IsWrittenAsPeopleGiveIt(t *testing.T) {
	for want, right := range map[string]Right{
		"jane may not list customautoscalers.autoscaler-group.autoscaler in the namespace shop":           {Verb: List},
		"jane may not create customautoscalers/request.autoscaler-group.autoscaler in the namespace shop": {Verb: Create, Subresource: "request"},
		"jane may not get /metrics": {Verb: Get, Metrics: true},
	} {
		if got := Lacks(callers["person"], right, "shop"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (Right{Verb: Get, Subresource: "routes"}).String(); got != "get customautoscalers/routes.autoscaler-group.autoscaler in all namespaces" {
		t.Error(got)
	}
}
